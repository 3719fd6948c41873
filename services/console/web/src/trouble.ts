// What went wrong and concerns the whole page.
import { signal } from "@preact/signals";

export const trouble = signal("");

/** Says what went wrong at the top of the page; an empty sentence takes it away. */
export function complain(error: unknown): void {
  trouble.value = error instanceof Error ? error.message : String(error);
}
