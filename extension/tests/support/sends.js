/** Requests of pages that send a prompt, one of each kind. */

/** The time of the sends. */
export const NOW = 1_790_000_000_000;
export const MESSAGE_ID = "0b9a3a7e-58c1-4d1f-9c55-2f1f6c1d7a10";
export const PARENT_ID = "5f0c2b6e-8a35-4f4e-9a3e-0f3c5d9b7a11";
export const CONVERSATION_ID = "9d2f7f0e-1c1b-4d5c-8f0e-6a1b2c3d4e5f";
/** The prompt of all of them. */
export const PROMPT = 'What is "tea" & why\nis it \\ hot?';

const json = { name: "Content-Type", value: "application/json" };

export const CHATGPT = { platform: "chatgpt", title: "ChatGPT", shell_url: "https://chatgpt.com/", hosts: ["chatgpt.com", "*.chatgpt.com"], modes: ["buffered", "sse"], final_message: "chatgpt", prompt: "template" };
export const GEMINI = { platform: "gemini", title: "Gemini", shell_url: "https://gemini.google.com/", hosts: ["gemini.google.com"], modes: ["buffered", "sse"], final_message: "gemini", prompt: "template" };
export const NOTES = { platform: "notes", title: "Notes", shell_url: "https://notes.example/", hosts: ["notes.example"], modes: ["buffered", "sse"], final_message: "", prompt: "template" };

/** Returns ChatGPT's send within a conversation; `more` is added to its body. */
export const chatgpt = (more = {}) => ({
  method: "POST",
  url: "https://chatgpt.com/backend-api/conversation",
  page: `https://chatgpt.com/c/${CONVERSATION_ID}`,
  headers: [
    json,
    { name: "Accept", value: "text/event-stream" },
    { name: "Authorization", value: "Bearer OF-THE-USER" },
    { name: "OAI-Device-Id", value: "device" },
    { name: "OpenAI-Sentinel-Proof-Token", value: "ONCE" },
    { name: "X-Datadog-Trace-Id", value: "7" },
    { name: "X-Api-Key", value: "KEY" },
    { name: "Session-Key", value: "SESSION" },
    { name: "Cookie", value: "a=COOKIE" },
    { name: "Idempotency-Key", value: MESSAGE_ID },
  ],
  body: JSON.stringify({
    action: "next",
    messages: [
      {
        id: MESSAGE_ID,
        author: { role: "user" },
        content: { content_type: "text", parts: [PROMPT] },
        create_time: NOW / 1_000 + 0.25,
      },
    ],
    conversation_id: CONVERSATION_ID,
    parent_message_id: PARENT_ID,
    model: "auto",
    sent_at: new Date(NOW).toISOString(),
    clock: NOW,
    seconds: NOW / 1_000,
    big: 0,
    ...more,
  }).replace('"big":0', '"big":12345678901234567890'),
});

/** Returns Gemini's send. */
export const gemini = () => ({
  method: "POST",
  url: "https://gemini.google.com/_/BardChatUi/data/assistant.lamda.BardFrontendService/StreamGenerate?bl=1&rt=c",
  page: "https://gemini.google.com/app",
  headers: [{ name: "content-type", value: "application/x-www-form-urlencoded;charset=UTF-8" }],
  body: new URLSearchParams({ "f.req": JSON.stringify([null, JSON.stringify([[PROMPT, 0, null], ["en"], ["c_1", "r_1", "rc_1"]])]), at: "AJvLN6Mabcdefghij:1790000000000" }).toString(),
});

/** Returns the send of a user-defined app; `more` is added to its body. */
export const notes = (more = {}) => ({
  method: "POST",
  url: "https://notes.example/api/ask",
  page: "https://notes.example/",
  headers: [json],
  body: JSON.stringify({ question: PROMPT, model: "small", ...more }),
});
