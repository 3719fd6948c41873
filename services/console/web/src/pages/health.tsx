// The page Health.
import { t } from "../shell.texts";

export function HealthPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("health")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
