// A new request: who asks, whose footage, which cameras, which time, on what ground, until when.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../../api";
import { Link } from "../../parts/link";
import { go } from "../../router";
import { file, type Filed } from "./client";
import { t } from "./texts";
import { inUtc, zone } from "./times";

export function Filing() {
  const cameras = useSignal<string[]>([]);
  const from = useSignal("");
  const to = useSignal("");
  const rules = useSignal("");
  const wrong = useSignal("");
  const busy = useSignal(false);
  useEffect(() => {
    api<{ camera: string }[]>("/cameras")
      .then((answer) => {
        cameras.value = answer.map((each) => each.camera);
      })
      // Without live cameras their ids can still be typed.
      .catch(() => undefined);
  }, []);
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    busy.value = true;
    wrong.value = "";
    try {
      go(`/requests/${(await file(filed(given))).id}`);
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <form class="requests filing" onSubmit={submit}>
      <p>
        <Link to="/requests">{t("back")}</Link>
      </p>
      <h1>{t("new")}</h1>
      <label>
        {t("whose")}
        <input name="whose" required maxLength={200} autocomplete="off" aria-describedby="whose-note" />
        <span class="note" id="whose-note">
          {t("whoseNote")}
        </span>
      </label>
      <label>
        {t("askedBy")}
        <input name="asked_by" maxLength={200} autocomplete="off" />
      </label>
      <fieldset>
        <legend>{t("cameras")}</legend>
        {cameras.value.map((each) => (
          <label key={each} class="tick">
            <input type="checkbox" name="camera" value={each} />
            {each}
          </label>
        ))}
        <label>
          {t("moreCameras")}
          <input name="more" autocomplete="off" aria-describedby="more-note" />
          <span class="note" id="more-note">
            {t("moreCamerasNote")}
          </span>
        </label>
      </fieldset>
      <fieldset>
        <legend>{t("range")}</legend>
        <div class="pair">
          <Moment name="start" label={t("from")} at={from} />
          <Moment name="end" label={t("to")} at={to} />
        </div>
        <p class="note">
          {t("zoneNote", { zone: zone(from.value ? new Date(from.value) : undefined) })}{" "}
          {from.value && to.value && t("asUtc", { from: inUtc(from.value), to: inUtc(to.value) })}
        </p>
      </fieldset>
      <label>
        {t("basis")}
        <input name="legal_basis" required minLength={3} maxLength={1000} list="bases" autocomplete="off" />
        <datalist id="bases">
          <option value="GDPR, article 15" />
          <option value="PIPA, article 35" />
        </datalist>
      </label>
      <div class="pair">
        <label>
          {t("rules")}
          <select name="rules" value={rules.value} onChange={(event) => (rules.value = event.currentTarget.value)}>
            <option value="">{t("rulesHouse")}</option>
            <option value="gdpr">{t("rulesGdpr")}</option>
            <option value="pipa">{t("rulesPipa")}</option>
            <option value="days">{t("rulesDays")}</option>
          </select>
        </label>
        {rules.value === "days" && (
          <label>
            {t("days")}
            <input name="days" type="number" min={1} max={366} required />
          </label>
        )}
        <label>
          {t("received")}
          <input name="received" type="date" aria-describedby="received-note" />
          <span class="note" id="received-note">
            {t("receivedNote")}
          </span>
        </label>
      </div>
      <label>
        {t("why")}
        <textarea name="why" required minLength={3} maxLength={1000} rows={2} aria-describedby="why-note" />
        <span class="note" id="why-note">
          {t("whyNote")}
        </span>
      </label>
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
      <button type="submit" disabled={busy.value}>
        {t("file")}
      </button>
    </form>
  );
}

function Moment({ name, label, at }: { name: string; label: string; at: { value: string } }) {
  return (
    <label>
      {label}
      <input
        name={name}
        type="datetime-local"
        step={1}
        required
        value={at.value}
        onInput={(event) => (at.value = event.currentTarget.value)}
      />
    </label>
  );
}

/** What was filled in, as disclosure takes it. Raises Error with what is missing. */
function filed(given: FormData): Filed {
  const text = (name: string): string => String(given.get(name) ?? "").trim();
  const more = text("more")
    .split(",")
    .map((each) => each.trim());
  const cameras = [...new Set([...given.getAll("camera").map(String), ...more])].filter((each) => each !== "");
  if (cameras.length === 0) throw new Error(t("noCamera"));
  const [start, end] = [new Date(text("start")), new Date(text("end"))];
  if (!(start < end)) throw new Error(t("backwards"));
  const rules = text("rules") === "days" ? `days:${text("days")}` : text("rules");
  return {
    why: text("why"),
    whose: text("whose"),
    asked_by: text("asked_by"),
    cameras,
    start: start.toISOString(),
    end: end.toISOString(),
    legal_basis: text("legal_basis"),
    ...(text("received") && { received: text("received") }),
    ...(rules && { rules }),
  };
}
