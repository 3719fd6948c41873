// The login: name and password.
import { useSignal } from "@preact/signals";
import { logIn } from "./api";
import { t } from "./login.texts";

export function Login() {
  const wrong = useSignal("");
  const busy = useSignal(false);
  document.title = "Veil";
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    busy.value = true;
    try {
      await logIn(String(given.get("name")), String(given.get("password")));
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <form class="login" onSubmit={submit}>
      <h1>{t("title")}</h1>
      <label>
        {t("name")}
        <input name="name" autocomplete="username" required autofocus maxLength={64} />
      </label>
      <label>
        {t("password")}
        <input name="password" type="password" autocomplete="current-password" required maxLength={1024} />
      </label>
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
      <button type="submit" disabled={busy.value}>
        {t("go")}
      </button>
      <p class="note">{t("note")}</p>
    </form>
  );
}
