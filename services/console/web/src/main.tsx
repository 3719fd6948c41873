// Veil's console: starts the page.
import "./style/app.css";
import { render } from "preact";
import { whoAmI } from "./api";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) render(<Shell />, root);
void whoAmI();
