import { texts } from "./texts";

export const t = texts(
  {
    title: "Log in",
    name: "Name",
    password: "Password",
    go: "Log in",
    note: "What you look at is recorded: who, when, which camera.",
  },
  {
    title: "Connexion",
    name: "Nom",
    password: "Mot de passe",
    go: "Se connecter",
    note: "Vos consultations sont enregistrées : qui, quand, quelle caméra.",
  },
  {
    title: "로그인",
    name: "이름",
    password: "비밀번호",
    go: "로그인",
    note: "누가 언제 어떤 카메라를 보았는지 기록됩니다.",
  },
);
