import { texts } from "../texts";

export const t = texts(
  {
    title: "Wall",
    loading: "Looking for cameras …",
    grid: "Grid",
    fill: "Full screen",
    before: "Cameras before these",
    after: "Cameras after these",
    cameras: "Cameras: {shown} of {all}",
    everything: "Show all",
    none: "No camera is shown. Your account may see none, or none is chosen.",
    tile: "{camera}: {state}",
    cantPlay: "This browser can’t show live video (Media Source Extensions with H.264).",
    unreached: "The server can’t be reached. What is shown is old; it is tried again.",
    keys:
      "Keys: arrows go from camera to camera, with Shift they move it; 1 to 8 set the grid; f is full screen; Enter opens the camera; Page Up and Page Down turn the page.",
  },
  {
    title: "Mur d’images",
    loading: "Recherche des caméras…",
    grid: "Grille",
    fill: "Plein écran",
    before: "Caméras précédentes",
    after: "Caméras suivantes",
    cameras: "Caméras : {shown} sur {all}",
    everything: "Tout afficher",
    none: "Aucune caméra affichée. Votre compte n’en voit aucune, ou aucune n’est choisie.",
    tile: "{camera} : {state}",
    cantPlay: "Ce navigateur ne peut pas afficher la vidéo en direct (Media Source Extensions, H.264).",
    unreached: "Le serveur est injoignable. Les images sont anciennes ; nouvel essai en cours.",
    keys:
      "Touches : les flèches passent d’une caméra à l’autre, avec Maj elles la déplacent ; 1 à 8 règlent la grille ; f : plein écran ; Entrée ouvre la caméra ; Page préc. et Page suiv. tournent la page.",
  },
  {
    title: "영상 벽",
    loading: "카메라를 찾는 중…",
    grid: "격자",
    fill: "전체 화면",
    before: "이전 카메라",
    after: "다음 카메라",
    cameras: "카메라: {all}대 중 {shown}대",
    everything: "모두 표시",
    none: "표시할 카메라가 없습니다. 볼 수 있는 카메라가 없거나 선택되지 않았습니다.",
    tile: "{camera}: {state}",
    cantPlay: "이 브라우저는 실시간 영상을 표시할 수 없습니다(Media Source Extensions, H.264).",
    unreached: "서버에 연결할 수 없습니다. 지금 화면은 오래된 것이며 다시 시도합니다.",
    keys:
      "단축키: 화살표로 카메라 이동, Shift+화살표로 위치 변경, 1~8로 격자 설정, f로 전체 화면, Enter로 카메라 열기, Page Up/Page Down으로 쪽 넘기기.",
  },
);
