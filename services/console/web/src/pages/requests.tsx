// The page Requests: all of them, a new one, or one with everything that can be done with it.
import { Filing } from "./requests/filing";
import { RequestList } from "./requests/list";
import { OneRequest } from "./requests/one";

export function RequestsPage({ rest }: { rest: string }) {
  if (rest === "") return <RequestList />;
  if (rest === "new") return <Filing />;
  return <OneRequest key={rest} id={rest} />;
}
