// The pages: their address, name in the menu, and who may see them.
import type { ComponentType } from "preact";
import { CameraPage } from "./pages/camera";
import { HealthPage } from "./pages/health";
import { InsightPage } from "./pages/insight";
import { PolicyPage } from "./pages/policy";
import { RequestsPage } from "./pages/requests";
import { WallPage } from "./pages/wall";

export type PageName = "wall" | "camera" | "insight" | "health" | "requests" | "policy";

export interface Page {
  name: PageName;
  /** Beginning of its address; what follows it is given to the page as `rest`. */
  path: string;
  /** Roles that may see it; everyone where it is left out. The server decides, this only spares a useless link. */
  roles?: readonly string[];
  /** Not in the menu. */
  hidden?: boolean;
  show: ComponentType<{ rest: string }>;
}

export const PAGES: readonly Page[] = [
  { name: "wall", path: "/wall", show: WallPage },
  { name: "camera", path: "/camera", hidden: true, show: CameraPage },
  { name: "insight", path: "/insight", show: InsightPage },
  { name: "health", path: "/health", show: HealthPage },
  { name: "requests", path: "/requests", roles: ["officer", "approver"], show: RequestsPage },
  { name: "policy", path: "/policy", roles: ["admin"], show: PolicyPage },
];
