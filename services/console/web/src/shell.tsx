// What is around every page: name, menu, language, theme, who is logged in.
import { useSignalEffect } from "@preact/signals";
import { account, logOut } from "./api";
import { Login } from "./login";
import { type Page, PAGES } from "./pages";
import { Link } from "./parts/link";
import { path } from "./router";
import { t } from "./shell.texts";
import { choose as chooseLanguage, LANGUAGES, type Language, language } from "./texts";
import { choose as chooseTheme, THEMES, type Theme, theme } from "./theme";
import { complain, trouble } from "./trouble";

export function Shell() {
  useSignalEffect(() => {
    document.documentElement.lang = language.value;
  });
  if (account.value === undefined) return <p class="waiting">{t("wait")}</p>;
  const page = pageAt(path.value);
  return (
    <>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <header class="bar">
        <span class="brand">Veil</span>
        {account.value && <Menu current={page} />}
        <Choices />
      </header>
      {trouble.value && (
        <p class="trouble" role="alert">
          {trouble.value}
          <button type="button" onClick={() => complain("")}>
            {t("dismiss")}
          </button>
        </p>
      )}
      <main id="main" tabIndex={-1}>
        {account.value ? <Shown page={page} /> : <Login />}
      </main>
    </>
  );
}

function pageAt(address: string): Page | undefined {
  if (address === "/") return PAGES[0];
  return PAGES.find((page) => address === page.path || address.startsWith(`${page.path}/`));
}

function mayFollow(page: Page): boolean {
  const roles = account.value?.roles ?? [];
  return !page.roles || page.roles.some((role) => roles.includes(role));
}

function Menu({ current }: { current: Page | undefined }) {
  return (
    <nav aria-label={t("menu")}>
      {PAGES.filter((page) => !page.hidden && mayFollow(page)).map((page) => (
        <Link key={page.name} to={page.path} aria-current={page === current ? "page" : undefined}>
          {t(page.name)}
        </Link>
      ))}
    </nav>
  );
}

function Shown({ page }: { page: Page | undefined }) {
  document.title = page ? `${t(page.name)} · Veil` : "Veil";
  if (!page) return <p>{t("nothing")}</p>;
  if (!mayFollow(page)) return <p>{t("forbidden")}</p>;
  return <page.show rest={path.value.slice(page.path.length + 1)} />;
}

function Choices() {
  return (
    <div class="choices">
      <select
        aria-label={t("language")}
        value={language.value}
        onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
      <select
        aria-label={t("theme")}
        value={theme.value}
        onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}
      >
        {THEMES.map((each) => (
          <option key={each} value={each}>
            {t(each)}
          </option>
        ))}
      </select>
      {account.value && (
        <button type="button" class="quiet" onClick={() => void logOut().catch(complain)}>
          {t("logOut", { name: account.value.name })}
        </button>
      )}
    </div>
  );
}
