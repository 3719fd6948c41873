// The page Policies: what a camera shows, drawn and chosen, tried out before it is saved, and saved with a reason.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { account, api, ApiError, send } from "../api";
import { type Areas, Draw } from "../policy/draw";
import {
  type Box,
  type Draft,
  draftOf,
  type Form,
  formOf,
  type Keys,
  KINDS,
  MODES,
  type Mode,
  type Preset,
  type Preview,
  type Shown,
  type Still,
  type Told,
} from "../policy/model";
import { Typed } from "../policy/typed";
import { difference, inWords } from "../policy/words";
import { t as words } from "../policy/words.texts";
import { go } from "../router";
import { moment } from "../texts";
import { complain } from "../trouble";
import { t } from "./policy.texts";

const TRY_AFTER_MS = 400;
const AGAIN_MS = 3000;
const UNDO_MOST = 50;
const LOOKING = ["viewer", "officer", "approver"];
const NO_STILL: Still = { address: "", takenUs: 0, refused: false };
const BODIES: ReadonlySet<string> = new Set(["person", "motion"]);
const SHAPES: ReadonlySet<string> = new Set(["seal", "silhouette"]);

export function PolicyPage({ rest }: { rest: string }) {
  const cameras = useSignal<string[]>([]);
  const camera = decodeURIComponent(rest);
  useEffect(() => {
    api<{ camera: string }[]>("/cameras")
      .then((found) => {
        cameras.value = found.map((each) => each.camera);
      })
      .catch(complain);
  }, []);
  return (
    <div class="policy">
      <h1>{t("title")}</h1>
      <label class="pick">
        {t("camera")}
        <select
          value={camera}
          onChange={(event) => go(`/policy/${encodeURIComponent(event.currentTarget.value)}`)}
        >
          <option value="">{t("pick")}</option>
          {cameras.value.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      {camera && <Editor key={camera} camera={camera} />}
    </div>
  );
}

function Editor({ camera }: { camera: string }) {
  const path = `/policies/cameras/${encodeURIComponent(camera)}`;
  const shown = useSignal<Shown | null>(null);
  const presets = useSignal<Preset[]>([]);
  const form = useSignal<Form | null>(null);
  const preview = useSignal<Preview | null>(null);
  const undo = useSignal<Areas[]>([]);
  const said = useSignal("");
  const history = useSignal<Told[]>([]);
  const [still, renew] = useStill(camera);
  const boxes = useBoxes(path, still.takenUs);
  const trying = useRef(0);

  const load = async (): Promise<void> => {
    const [found, past] = await Promise.all([api<Shown>(path), api<Told[]>(`${path}/history`)]);
    shown.value = found;
    history.value = past;
    undo.value = [];
    preview.value = null;
    const keys = found.keys ?? found.site_file;
    form.value = keys ? formOf(found.keys ? found.draft.preset : null, keys) : null;
    if (keys) attempt();
  };
  const base = (preset: string | null): Keys | null =>
    preset === null ? (shown.value?.site_file ?? null) : (presets.value.find((each) => each.preset === preset)?.keys ?? null);
  const draft = (): Draft | null => {
    const beneath = form.value && base(form.value.preset);
    return form.value && beneath && shown.value ? draftOf(form.value, beneath, shown.value.draft) : null;
  };
  const attempt = (): void => {
    clearTimeout(trying.current);
    trying.current = window.setTimeout(() => {
      const given = draft();
      if (given === null) return;
      api<Preview>(`${path}/preview`, "POST", given)
        .then((found) => {
          preview.value = found;
        })
        .catch(complain);
    }, TRY_AFTER_MS);
  };
  const change = (changed: Partial<Form>): void => {
    if (!form.value) return;
    form.value = { ...form.value, ...changed };
    said.value = "";
    attempt();
  };
  const redraw = (areas: Areas): void => {
    if (!form.value) return;
    const { zones, lines } = form.value;
    undo.value = [...undo.value, { zones, lines }].slice(-UNDO_MOST);
    change(areas);
  };
  const save = async (reason: string, closes: boolean): Promise<void> => {
    const given = draft();
    if (given === null || !shown.value) return;
    const { number, before } = shown.value;
    const saved = await api<{ number: number; at_once: boolean }>(path, "PUT", { ...given, reason, closes, number, before });
    await load();
    said.value = t(saved.at_once ? "savedNow" : "savedSoon", { number: saved.number });
  };
  const take = async (number: number): Promise<void> => {
    const { preset, keys } = await api<Draft>(`${path}/history/${number}`);
    const past = { preset, keys };
    const tried = await api<Preview>(`${path}/preview`, "POST", past);
    preview.value = tried;
    if (!tried.keys || !shown.value) return;
    shown.value = { ...shown.value, draft: past };
    form.value = formOf(preset, tried.keys);
  };
  useEffect(() => {
    api<Preset[]>("/policies/presets")
      .then((found) => {
        presets.value = found;
        return load();
      })
      .catch(complain);
    return () => clearTimeout(trying.current);
  }, []);

  const now = shown.value;
  if (!now) return null;
  return (
    <>
      <section class="card">
        <h2>{t("now")}</h2>
        {now.policy ? (
          <>
            <ul>
              {inWords(now.policy).map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
            <p class="note">
              <code>{now.policy.fingerprint}</code>
            </p>
          </>
        ) : (
          <p class="wrong">{t("unreadable", { why: now.unreadable })}</p>
        )}
        {!now.editable && <p>{t("readOnly")}</p>}
      </section>
      {form.value && (
        <>
          <section class="card">
            <h2>{t("areas")}</h2>
            <Draw
              areas={form.value}
              onChange={redraw}
              onUndo={
                undo.value.length > 0
                  ? () => {
                      const last = undo.value.at(-1);
                      undo.value = undo.value.slice(0, -1);
                      if (last) change(last);
                    }
                  : null
              }
              still={still}
              onRenew={renew}
              boxes={boxes}
              policy={preview.value?.policy ?? now.policy}
            />
          </section>
          <Fields form={form.value} presets={presets.value} base={base} change={change} />
          <Effect preview={preview.value} />
          {now.editable && <Save preview={preview.value} save={save} reset={load} />}
        </>
      )}
      <p role="status" class="said">
        {said.value}
      </p>
      <Past history={history.value} take={take} />
    </>
  );
}

/** The newest masked still; and what asks for a newer one. */
function useStill(camera: string): [Still, () => void] {
  const still = useSignal<Still>(NO_STILL);
  const asked = useSignal(0);
  useEffect(() => {
    let made = "";
    // Whoever may change policies need not be allowed to look: zones are then drawn on empty ground.
    if (!LOOKING.some((role) => account.value?.roles.includes(role))) {
      still.value = { ...NO_STILL, refused: true };
      return;
    }
    send(`/cameras/${encodeURIComponent(camera)}/still`)
      .then(async (answer) => {
        made = URL.createObjectURL(await answer.blob());
        const takenUs = Number(answer.headers.get("X-Veil-Captured-Us"));
        still.value = { address: made, takenUs, refused: false };
      })
      .catch((error: unknown) => {
        // None has come yet.
        if (error instanceof ApiError && error.status === 404) still.value = NO_STILL;
        else complain(error);
      });
    return () => {
      if (made) URL.revokeObjectURL(made);
    };
  }, [camera, asked.value]);
  return [still.value, () => asked.value++];
}

/** Where subjects were when the still was taken; none without one. */
function useBoxes(path: string, takenUs: number): Box[] {
  const boxes = useSignal<Box[]>([]);
  useEffect(() => {
    boxes.value = [];
    if (takenUs === 0) return;
    // The next record of a track may be nearer to the picture than the one before: it is asked for again once.
    const ask = (): void => {
      api<Box[]>(`${path}/boxes?at_us=${takenUs}`)
        .then((found) => {
          boxes.value = found;
        })
        .catch(complain);
    };
    ask();
    const again = window.setTimeout(ask, AGAIN_MS);
    return () => clearTimeout(again);
  }, [path, takenUs]);
  return boxes.value;
}

interface FieldsGiven {
  form: Form;
  presets: readonly Preset[];
  base: (preset: string | null) => Keys | null;
  change: (changed: Partial<Form>) => void;
}

function Fields({ form, presets, base, change }: FieldsGiven) {
  const start = (preset: string | null): void => {
    const keys = base(preset);
    // What was drawn is of this camera's picture, whatever else is chosen for it.
    if (keys) change({ ...formOf(preset, keys), zones: form.zones, lines: form.lines });
  };
  return (
    <section class="card fields">
      <label>
        {t("preset")}
        <select value={form.preset ?? ""} onChange={(event) => start(event.currentTarget.value || null)}>
          <option value="">{t("siteFile")}</option>
          {presets.map((each) => (
            <option key={each.preset} value={each.preset}>
              {each.preset}
            </option>
          ))}
        </select>
      </label>
      <fieldset>
        <legend>{t("kinds")}</legend>
        <label>
          {t("mode")}
          <select value={form.mode} onChange={(event) => change({ mode: event.currentTarget.value as Mode })}>
            {MODES.map((mode) => (
              <option key={mode} value={mode}>
                {words(mode)}
              </option>
            ))}
          </select>
        </label>
        {KINDS.map((kind) => (
          <div class="kind" key={kind}>
            <label>
              <input
                type="checkbox"
                checked={form.kinds[kind] !== undefined}
                onChange={(event) => {
                  const { [kind]: _, ...others } = form.kinds;
                  change({ kinds: event.currentTarget.checked ? { ...others, [kind]: { mode: null } } : others });
                }}
              />
              {t("masked", { kind: words(kind) })}
            </label>
            <select
              aria-label={t("modeOf", { kind: words(kind) })}
              disabled={form.kinds[kind] === undefined}
              value={form.kinds[kind]?.mode ?? ""}
              onChange={(event) =>
                change({ kinds: { ...form.kinds, [kind]: { mode: (event.currentTarget.value || null) as Mode | null } } })
              }
            >
              <option value="">{t("asPolicy")}</option>
              {MODES.filter((mode) => BODIES.has(kind) || !SHAPES.has(mode)).map((mode) => (
                <option key={mode} value={mode}>
                  {words(mode)}
                </option>
              ))}
            </select>
          </div>
        ))}
        <label>
          {t("strength")}
          <Typed
            type="number"
            min={0.5}
            max={4}
            step={0.1}
            value={form.strength}
            onDone={(value) => change({ strength: Number(value) })}
          />
        </label>
      </fieldset>
      <label>
        {t("incomplete")}
        <select
          value={form.on_incomplete}
          onChange={(event) => change({ on_incomplete: event.currentTarget.value as "close" | "drop" })}
        >
          <option value="close">{t("closeIt")}</option>
          <option value="drop">{t("dropIt")}</option>
        </select>
      </label>
      <label>
        {t("purpose")}
        <Typed value={form.purpose} maxLength={500} onDone={(purpose) => change({ purpose })} />
      </label>
      <label>
        {t("basis")}
        <Typed value={form.legal_basis} maxLength={500} onDone={(basis) => change({ legal_basis: basis })} />
      </label>
      <label>
        {t("originals")}
        <select
          value={form.originals}
          onChange={(event) => change({ originals: event.currentTarget.value as "drop" | "keep" })}
        >
          <option value="drop">{t("dropThem")}</option>
          <option value="keep">{t("keepThem")}</option>
        </select>
      </label>
      <label>
        {t("retention")}
        <Typed
          type="number"
          min={1}
          max={8760}
          value={form.retention_hours}
          onDone={(value) => change({ retention_hours: Number(value) })}
        />
      </label>
    </section>
  );
}

function Effect({ preview }: { preview: Preview | null }) {
  if (!preview) return null;
  return (
    <section class="card" aria-live="polite">
      <h2>{t("effect")}</h2>
      {preview.problems.length > 0 && (
        <div class="wrong">
          <p>{t("wrong")}</p>
          <ul lang="en">
            {preview.problems.map((each) => (
              <li key={each.key + each.message}>
                {each.key && <code>{each.key}</code>} {each.message}
              </li>
            ))}
          </ul>
        </div>
      )}
      {preview.policy && preview.differences.length === 0 && <p>{t("nothing")}</p>}
      <ul class="differences">
        {preview.differences.map((each) => (
          <li key={each.key}>
            {difference(each)}
            {each.shows_more && <strong class="more"> ▲ {t("more")}</strong>}
          </li>
        ))}
      </ul>
      {preview.cautions.length > 0 && (
        <>
          <p>{t("thought")}</p>
          <ul lang="en">
            {preview.cautions.map((each) => (
              <li key={each.key + each.message}>
                <code>{each.key}</code> {each.message}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

interface SaveGiven {
  preview: Preview | null;
  save: (reason: string, closes: boolean) => Promise<void>;
  reset: () => Promise<void>;
}

function Save({ preview, save, reset }: SaveGiven) {
  const busy = useSignal(false);
  const refused = useSignal("");
  const missing = preview?.missing ?? [];
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    busy.value = true;
    refused.value = "";
    try {
      await save(String(given.get("reason")), given.get("closes") === "on");
      form.reset();
    } catch (error) {
      refused.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  const nothing = !preview?.policy || preview.differences.length === 0;
  return (
    <form class="card fields" onSubmit={submit}>
      {missing.length > 0 && (
        <>
          <p class="wrong">{t("missing", { names: missing.join(", ") })}</p>
          <label class="knowingly">
            <input type="checkbox" name="closes" required />
            {t("knowingly")}
          </label>
        </>
      )}
      <label>
        {t("reason")}
        <input name="reason" required minLength={3} maxLength={500} autocomplete="off" />
      </label>
      {refused.value && (
        <p class="wrong" role="alert" lang="en">
          {refused.value}
        </p>
      )}
      <div class="tools">
        <button type="submit" disabled={busy.value || nothing}>
          {t("save")}
        </button>
        <button type="button" onClick={() => void reset().catch(complain)}>
          {t("reset")}
        </button>
      </div>
    </form>
  );
}

function Past({ history, take }: { history: readonly Told[]; take: (number: number) => Promise<void> }) {
  return (
    <section class="card past">
      <h2>{t("history")}</h2>
      {history.length === 0 ? (
        <p class="note">{t("none")}</p>
      ) : (
        <div class="wide" tabIndex={0} role="region" aria-label={t("history")}>
          <table>
            <thead>
              <tr>
                <th>{t("number")}</th>
                <th>{t("when")}</th>
                <th>{t("who")}</th>
                <th>{t("why")}</th>
                <th>{t("fingerprints")}</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {history.map((each) => (
                <tr key={each.number}>
                  <td>{each.number}</td>
                  {each.unreadable ? (
                    <td colSpan={5}>{t("damaged")}</td>
                  ) : (
                    <>
                      <td>{moment(each.at_us)}</td>
                      <td>{each.by}</td>
                      <td>{each.reason}</td>
                      <td>
                        <code>{each.before}</code> → <code>{each.after}</code>
                      </td>
                      <td>
                        <button type="button" onClick={() => void take(each.number).catch(complain)}>
                          {t("take", { number: each.number })}
                        </button>
                      </td>
                    </>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
