// Asks for the reason of a step before it is done: nothing is done without one.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "./texts";

interface AskProperties {
  title: string;
  note?: string;
  /** Further fields, by name in the form. */
  children?: ComponentChildren;
  /** Does it; what goes wrong is said here. */
  act: (why: string, given: FormData) => Promise<void>;
  close: () => void;
}

export function Ask({ title, note, children, act, close }: AskProperties) {
  const dialog = useRef<HTMLDialogElement>(null);
  const wrong = useSignal("");
  const busy = useSignal(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    busy.value = true;
    wrong.value = "";
    try {
      await act(String(given.get("why")).trim(), given);
      close();
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
      busy.value = false;
    }
  };
  return (
    <dialog ref={dialog} class="ask" aria-labelledby="ask-title" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="ask-title">{title}</h2>
        {note && <p>{note}</p>}
        {children}
        <label>
          {t("why")}
          <textarea name="why" required minLength={3} maxLength={1000} rows={3} autofocus aria-describedby="ask-note" />
        </label>
        <p class="note" id="ask-note">
          {t("whyNote")}
        </p>
        {wrong.value && (
          <p class="wrong" role="alert">
            {wrong.value}
          </p>
        )}
        <div class="acts">
          <button type="submit" disabled={busy.value}>
            {title}
          </button>
          <button type="button" onClick={close}>
            {t("cancel")}
          </button>
        </div>
      </form>
    </dialog>
  );
}
