/** What the claude app's own traffic says. */

/** May the answer to this page request hold a final message? */
export function watches({ method, url }) {
  void method;
  void url;
  return false;
}

/** Reads one such answer. */
export function extractor({ method, url, requestBody, pageUrl }) {
  void [method, url, requestBody, pageUrl];
  return {
    push(text) {
      void text;
    },
    end(complete) {
      void complete;
      return { nothing: "no_answer" };
    },
  };
}

/** The account this answer shows, or null. */
export function account({ method, url, status, body }) {
  void [method, url, status, body];
  return null;
}
