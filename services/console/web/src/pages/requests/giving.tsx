// The package: what it is, whether it is as it was signed, who took it, and until when it can be taken.
import { useSignal } from "@preact/signals";
import { complain } from "../../trouble";
import { Ask } from "./ask";
import { download, has, one, type State, type Verdict, verify } from "./client";
import { Steps } from "./history";
import type { Desk } from "./one";
import { t } from "./texts";
import { exactInZone } from "./times";

const PACKED: readonly State[] = ["packaged", "handed_over", "expired"];

export function Giving({ desk }: { desk: Desk }) {
  const verdict = useSignal<Verdict | undefined>(undefined);
  const asked = useSignal(false);
  const { on } = desk;
  if (!PACKED.includes(on.state)) return null;
  const [name, hash] = Object.entries(on.files).find(([each]) => each.endsWith(".zip")) ?? ["", ""];
  const taken = on.history.filter((each) => each.action === "download");
  const over = on.state === "expired" || (on.expires_us !== null && Date.now() * 1000 >= on.expires_us);
  const take = async (why: string): Promise<void> => {
    await download(on.id, why);
    desk.became(await one(on.id));
  };
  return (
    <section aria-labelledby="package">
      <h2 id="package">{t("package")}</h2>
      {name && (
        <>
          <dl class="facts">
            <dt>{t("packageHash", { name })}</dt>
            <dd class="hash">{hash}</dd>
          </dl>
          <p class="note">{t("checkNote", { name })}</p>
          <p role="status" class={verdict.value && !verdict.value.holds ? "wrong" : ""}>
            {verdict.value && wordsOf(verdict.value)}
          </p>
          <div class="acts">
            <button
              type="button"
              onClick={() => void verify(on.id).then((found) => (verdict.value = found), complain)}
            >
              {t("check")}
            </button>
            {on.next.includes("download") && has("officer") && (
              <button type="button" class="main" disabled={over} onClick={() => (asked.value = true)}>
                {t("act_download")}
              </button>
            )}
          </div>
        </>
      )}
      {on.expires_us !== null && <p>{t(over ? "overSince" : "takenUntil", { until: exactInZone(on.expires_us) })}</p>}
      {on.state !== "packaged" && (
        <>
          <h3>{t("downloads")}</h3>
          {taken.length ? <Steps steps={taken.toReversed()} /> : <p class="note">{t("noDownloads")}</p>}
        </>
      )}
      {asked.value && <Ask title={t("act_download")} act={take} close={() => (asked.value = false)} />}
    </section>
  );
}

function wordsOf(verdict: Verdict): string {
  if (verdict.holds) return t("holds", { fingerprint: verdict.fingerprint });
  return t("broken", { faults: verdict.faults.join("; ") });
}
