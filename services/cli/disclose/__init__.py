"""`veil disclose`: one person's own footage with everyone else masked, from the request to the package."""

import typer

from services.cli.disclose import keys, requests, result, subject

app = typer.Typer(
    help="Gives a person their own footage with everyone else masked: request, second pair of eyes, signed package.\n\n"
    "The steps are file → find → choose → submit → approve → render → (look, review) → package → hand-over; refuse, "
    "postpone and withdraw end or delay them. Whoever approves has neither taken the request in, nor chosen, nor "
    "renders. Every step has a name and a reason (--who, --why), and is an event that can't be changed unseen.\n\n"
    "Set up by VEIL_DISCLOSURE_FOLDER, VEIL_DISCLOSURE_KEYS and VEIL_DISCLOSURE_POLICIES; originals are the vault's "
    "(VEIL_VAULT_STORE, VEIL_KEYS_FOLDER). services/disclosure/README.md tells more.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil disclose keys create /etc/veil/signing[/]\n\n"
    "[green]veil disclose file --whose 'J. Park' --camera gate --from 2026-03-01T14:00 --to 2026-03-01T14:20 "
    "--basis 'GDPR, article 15' --why 'asked at the counter, identity checked'[/]\n\n"
    "[green]veil disclose find 20260302-1f0c9a7e --why 'to find J. Park'[/]\n\n"
    "[green]veil disclose choose 20260302-1f0c9a7e 3 4 17:0-250 --why 'red coat, as J. Park says'[/]\n\n"
    "[green]veil disclose approve 20260302-1f0c9a7e --who lee --why 'it is J. Park'[/]\n\n"
    "[green]veil disclose list --due 3[/]  what has to be answered within three days",
)
app.command("file")(requests.file_request)
app.command("list")(requests.list_requests)
app.command("show")(requests.show)
app.command("find")(subject.find)
app.command("tracks")(subject.tracks)
app.command("suggest")(subject.suggest)
app.command("choose")(subject.choose)
app.command("submit")(subject.submit)
app.command("return")(subject.send_back)
app.command("approve")(subject.approve)
app.command("refuse")(requests.refuse)
app.command("withdraw")(requests.withdraw)
app.command("postpone")(requests.postpone)
app.command("resume")(requests.resume)
app.command("render")(result.render)
app.command("look")(result.look)
app.command("correct")(result.correct)
app.command("review")(result.review)
app.command("package")(result.package)
app.command("hand-over")(result.hand_over)
app.command("download")(result.download)
app.command("letter")(requests.letter)
app.command("expire")(result.expire)

keys_app = typer.Typer(help="Keys that sign packages (Ed25519), in a folder.", no_args_is_help=True)
keys_app.command("create")(keys.create)
app.add_typer(keys_app, name="keys")
