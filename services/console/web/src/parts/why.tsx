// Why a frame is closed, in the page's language where its code is known, and in the line's own English words elsewhere.
import { isKind, isReason, t } from "./why.texts";

export interface Reason {
  /** In English. */
  why: string;
  /** Its code, empty where there is none. */
  reason: string;
  detector: string;
}

export function Why({ given }: { given: Reason }) {
  const { why, reason, detector } = given;
  if (!isReason(reason)) return <span lang="en">{why}</span>;
  const name = isKind(detector) ? t(`of_${detector}`) : detector;
  return <>{t(reason, { detector: name })}</>;
}
