// Statistics: people and vehicles over time, busiest hours, dwell, zones, lines and flows, and all of it as a file.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, send } from "../api";
import { ask, bounds, type Busiest, type Choices, type Dwell, type Flows, type Series, type Subject, when } from "../insight";
import { Bars, told } from "../parts/bars";
import { number } from "../texts";
import { complain } from "../trouble";
import { t } from "./insight.texts";

const HOUR_US = 3_600_000_000;
const PERIODS = { day: { hours: 24, level: "hour" }, week: { hours: 168, level: "hour" }, month: { hours: 720, level: "day" } } as const;
type Period = keyof typeof PERIODS;
const GROUPS = ["camera", "site", "sector"] as const;
type By = (typeof GROUPS)[number];

interface Answers {
  series: Series;
  busiest: Busiest;
  dwell: Dwell;
  flows: Flows;
}

export function InsightPage(_: { rest: string }) {
  const choices = useSignal<Choices | null>(null);
  const of = useSignal<Subject>("people");
  const period = useSignal<Period>("day");
  const by = useSignal<By>("site");
  const site = useSignal("");
  const sector = useSignal("");
  const answers = useSignal<Answers | null>(null);
  useEffect(() => {
    api<Choices>("/insight").then((found) => (choices.value = found), complain);
  }, []);
  useEffect(() => {
    let current = true;
    const query = { of: of.value, ...range(period.value), ...chosen(site.value, sector.value) };
    Promise.all([
      ask<Series>("series", { ...query, by: by.value, level: PERIODS[period.value].level }),
      ask<Busiest>("busiest", query),
      ask<Dwell>("dwell", query),
      ask<Flows>("flows", query),
    ]).then(([series, busiest, dwell, flows]) => {
      if (current) answers.value = { series, busiest, dwell, flows };
    }, complain);
    return () => {
      current = false;
    };
  }, [of.value, period.value, by.value, site.value, sector.value]);

  const known = choices.value;
  if (known === null) return <h1>{t("title")}</h1>;
  if (known.cameras.length === 0) return <p>{t("nothing")}</p>;
  return (
    <>
      <h1>{t("title")}</h1>
      <form class="asked" onSubmit={(event) => event.preventDefault()}>
        <Choice label={t("of")} kept={of} options={[["people", t("people")], ["vehicles", t("vehicles")]]} />
        <Choice label={t("period")} kept={period} options={[["day", t("day")], ["week", t("week")], ["month", t("month")]]} />
        <Choice label={t("by")} kept={by} options={GROUPS.map((each) => [each, t(each)])} />
        <Choice label={t("site")} kept={site} options={named(known.cameras.map((each) => each.site))} />
        <Choice label={t("sector")} kept={sector} options={named(known.cameras.map((each) => each.sector))} />
      </form>
      <p class="note">{t("note", { least: known.least, zone: known.time_zone })}</p>
      {answers.value && <Told answers={answers.value} zone={known.time_zone} level={PERIODS[period.value].level} />}
      <Export period={period.value} />
    </>
  );
}

function Told({ answers, zone, level }: { answers: Answers; zone: string; level: "hour" | "day" }) {
  const { series, busiest, dwell, flows } = answers;
  const least = series.least;
  return (
    <>
      <h2>{t("overTime")}</h2>
      <div class="charts">
        {series.groups.map((group) => (
          <Bars
            key={group.name}
            title={group.name || t("unnamed")}
            least={least}
            bars={group.points.map((each) => ({ label: when(each.at_us, level, zone), value: each.value, whole: each.whole }))}
          />
        ))}
      </div>
      <h2>{t("busiest")}</h2>
      <div class="charts">
        <Bars
          title={t("busiestOf")}
          least={least}
          digits={1}
          bars={busiest.hours
            .filter((each) => each.days + each.hidden > 0)
            .map((each) => ({ label: t("hour", { hour: each.hour }), value: each.mean }))}
        />
      </div>
      <h2>{t("dwell")}</h2>
      <DwellTold dwell={dwell} />
      <h2>{t("where")}</h2>
      <Places flows={flows} />
      <h2>{t("flows")}</h2>
      <FlowTable flows={flows} />
      <p class="note">{t("acrossCameras")}</p>
    </>
  );
}

export function DwellTold({ dwell }: { dwell: Dwell }) {
  return (
    <div class="charts">
      <Bars
        title={t("dwellOf")}
        least={dwell.least}
        bars={dwell.bins.map((each) => ({ label: bounds(each.least_s, each.most_s), value: each.value }))}
      />
      {dwell.quantiles.length > 0 && (
        <ul class="note">
          {dwell.quantiles.map((each) => (
            <li key={each.share}>
              {t("quantile", { share: number(each.share * 100), bounds: bounds(each.least_s, each.most_s) })}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** How many came to each camera and zone, and crossed each line. */
export function Places({ flows }: { flows: Flows }) {
  const { least, cameras, zones, lines } = flows;
  return (
    <div class="charts">
      <div class="scroll" tabIndex={0} role="region" aria-label={t("place")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("place")}</th>
              <th scope="col">{t("count")}</th>
            </tr>
          </thead>
          <tbody>
            {[...cameras.map((each) => ({ ...each, zone: "" })), ...zones].map((each) => (
              <tr key={`${each.camera}/${each.zone}`}>
                <th scope="row">{each.zone ? `${each.camera} · ${each.zone}` : each.camera}</th>
                <td>{told(each.value, least)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {lines.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("line")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("line")}</th>
                <th scope="col">{t("forward")}</th>
                <th scope="col">{t("backward")}</th>
              </tr>
            </thead>
            <tbody>
              {lines.map((each) => (
                <tr key={`${each.camera}/${each.line}`}>
                  <th scope="row">{`${each.camera} · ${each.line}`}</th>
                  <td>{told(each.forward, least)}</td>
                  <td>{told(each.backward, least)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function FlowTable({ flows }: { flows: Flows }) {
  if (flows.flows.length === 0) return <p class="note">{t("noPlaces")}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("flows")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("camera")}</th>
            <th scope="col">{t("from")}</th>
            <th scope="col">{t("to")}</th>
            <th scope="col">{t("count")}</th>
          </tr>
        </thead>
        <tbody>
          {flows.flows.map((each) => (
            <tr key={`${each.camera}/${each.origin}/${each.target}`}>
              <th scope="row">{each.camera}</th>
              <td>{each.origin}</td>
              <td>{each.target}</td>
              <td>{number(each.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Export({ period }: { period: Period }) {
  const said = useSignal("");
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const format = String(given.get("format"));
    try {
      const body = { format, level: PERIODS[period].level, purpose: String(given.get("purpose")), ...range(period) };
      save(await (await send("/insight/export", "POST", body)).blob(), `veil-statistics.${format}`);
      said.value = t("exported");
    } catch (error) {
      complain(error);
    }
  };
  return (
    <>
      <h2>{t("export")}</h2>
      <form class="asked" onSubmit={submit}>
        <label>
          {t("format")}{" "}
          <select name="format">
            <option value="csv">CSV</option>
            <option value="parquet">Parquet</option>
          </select>
        </label>
        <label>
          {t("purpose")} <input name="purpose" required maxLength={300} />
        </label>
        <button type="submit">{t("get")}</button>
      </form>
      <p class="note" role="status">
        {said.value}
      </p>
    </>
  );
}

function Choice<Value extends string>({ label, kept, options }: {
  label: string;
  kept: Signal<Value>;
  options: readonly (readonly [Value, string])[];
}) {
  if (options.length < 2) return null;
  return (
    <label>
      {label}{" "}
      <select value={kept.value} onChange={(event) => (kept.value = event.currentTarget.value as Value)}>
        {options.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The names that there are, and all; nothing to choose where there is one. */
function named(names: readonly string[]): readonly (readonly [string, string])[] {
  const known = [...new Set(names)].filter((each) => each !== "").sort();
  return known.length < 2 ? [] : [["", t("all")], ...known.map((each) => [each, each] as const)];
}

function chosen(site: string, sector: string): Record<string, string> {
  return { ...(site && { site }), ...(sector && { sector }) };
}

function range(period: Period): { from_us: number; to_us: number } {
  const to_us = Date.now() * 1000;
  return { from_us: to_us - PERIODS[period].hours * HOUR_US, to_us };
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
