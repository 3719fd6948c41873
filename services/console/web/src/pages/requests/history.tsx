// Every step of a request: when, who, what, and why.
import type { Case, Step } from "./client";
import { t } from "./texts";
import { exactInZone } from "./times";

export function History({ of }: { of: Case }) {
  return (
    <section aria-labelledby="history">
      <h2 id="history">{t("history")}</h2>
      <Steps steps={of.history.toReversed()} />
    </section>
  );
}

export function Steps({ steps }: { steps: Step[] }) {
  return (
    // The region can be scrolled sideways on a phone, also by keyboard.
    <div class="wide" tabIndex={0} role="group" aria-label={t("history")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("historyAt")}</th>
            <th scope="col">{t("historyWho")}</th>
            <th scope="col">{t("historyWhat")}</th>
            <th scope="col">{t("why")}</th>
          </tr>
        </thead>
        <tbody>
          {steps.map((step, index) => (
            <tr key={index}>
              <td>{exactInZone(step.at_us)}</td>
              <td>{step.who}</td>
              <td>{t(`done_${step.action}`)}</td>
              <td>{step.why}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
