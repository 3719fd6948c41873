// Talks to the server: every answer is JSON, every error one sentence.
import { signal } from "@preact/signals";

/** Who is logged in; `csrf` goes back with everything that changes something, `person` is whose account it is. */
export interface Account {
  name: string;
  person: string;
  roles: string[];
  csrf: string;
}

interface Me {
  account: { name: string; person: string; roles: string[] };
  csrf: string;
}

function known(me: Me): Account {
  return { name: me.account.name, person: me.account.person, roles: me.account.roles, csrf: me.csrf };
}

/** undefined until the server has said; null where nobody is logged in. */
export const account = signal<Account | null | undefined>(undefined);

export class ApiError extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence);
  }
}

/**
 * Asks the server for `path` under /api/v1. Raises ApiError; where the session has ended, the page shows the login.
 *
 * @param body is sent as JSON; without one, nothing is.
 */
export async function api<Answer = unknown>(path: string, method = "GET", body?: unknown): Promise<Answer> {
  const answer = await send(path, method, body);
  return (answer.status === 204 ? undefined : await answer.json()) as Answer;
}

/** As `api`, and gives the answer as it is: for pictures and files. */
export async function send(path: string, method = "GET", body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && account.value) headers["X-Veil-CSRF"] = account.value.csrf;
  const answer = await fetch(`/api/v1${path}`, {
    method,
    headers,
    cache: "no-store",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== "/session") account.value = null;
  throw new ApiError(answer.status, await sentence(answer));
}

async function sentence(answer: Response): Promise<string> {
  try {
    return String(((await answer.json()) as { error: unknown }).error);
  } catch {
    return `${answer.status} ${answer.statusText}`;
  }
}

/** Asks who is logged in. */
export async function whoAmI(): Promise<void> {
  try {
    account.value = known(await api<Me>("/session"));
  } catch (error) {
    account.value = null;
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Logs in. Raises ApiError. */
export async function logIn(name: string, password: string): Promise<void> {
  account.value = known(await api<Me>("/session", "POST", { name, password }));
}

/** Logs out: the server forgets the session, the browser what the page kept. */
export async function logOut(): Promise<void> {
  await api("/session", "DELETE");
  // Nothing of what was shown stays in memory either.
  location.replace("/");
}
