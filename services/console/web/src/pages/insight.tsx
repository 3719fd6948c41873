// The page Insight.
import { t } from "../shell.texts";

export function InsightPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("insight")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
