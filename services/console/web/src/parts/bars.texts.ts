import { texts } from "../texts";

export const t = texts(
  { table: "As a table", few: "fewer than {least}", least: "{count} or more", time: "When", count: "Count", none: "Nothing is told of this time yet." },
  { table: "En tableau", few: "moins de {least}", least: "{count} ou plus", time: "Quand", count: "Nombre", none: "Rien n’est encore publié pour cette période." },
  { table: "표로 보기", few: "{least} 미만", least: "{count} 이상", time: "시각", count: "수", none: "이 기간에 공개된 수치가 아직 없습니다." },
);
