import { texts } from "../texts";

export const t = texts(
  {
    waiting: "Waiting for pictures",
    live: "Live",
    closed: "Closed: wholly masked",
    lost: "Lost, silent since {since}",
    ended: "Ended at {since}",
    delay: "{seconds} s behind",
  },
  {
    waiting: "En attente d’images",
    live: "En direct",
    closed: "Fermée : image entièrement masquée",
    lost: "Perdue, muette depuis {since}",
    ended: "Terminée à {since}",
    delay: "{seconds} s de retard",
  },
  {
    waiting: "영상을 기다리는 중",
    live: "실시간",
    closed: "닫힘: 화면 전체 가림",
    lost: "끊김, {since}부터 신호 없음",
    ended: "{since}에 종료",
    delay: "{seconds}초 지연",
  },
);
