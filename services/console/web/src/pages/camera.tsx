// The page Camera.
import { t } from "../shell.texts";

export function CameraPage(_: { rest: string }) {
  return (
    <>
      <h1>{t("camera")}</h1>
      <p>{t("soon")}</p>
    </>
  );
}
