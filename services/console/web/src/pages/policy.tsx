// The page Policy.
import { t } from "../shell.texts";

export function PolicyPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("policy")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
