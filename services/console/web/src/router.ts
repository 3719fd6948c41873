// Which page is shown: the address says.
import { signal } from "@preact/signals";

export const path = signal(location.pathname);

/** Shows another page of this one, and moves the reader to its beginning. */
export function go(to: string): void {
  if (to !== path.value) history.pushState(null, "", to);
  path.value = new URL(to, location.origin).pathname;
  scrollTo(0, 0);
}

addEventListener("popstate", () => {
  path.value = location.pathname;
});
