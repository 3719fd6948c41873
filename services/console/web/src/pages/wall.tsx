// The page Wall.
import { t } from "../shell.texts";

export function WallPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("wall")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
