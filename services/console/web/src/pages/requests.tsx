// The page Requests.
import { t } from "../shell.texts";

export function RequestsPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("requests")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
