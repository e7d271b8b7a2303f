/** Names an endpoint without the ids in it. */
export function endpoint(method, url) {
  return `${method} ${new URL(url).pathname}`.slice(0, 300);
}
