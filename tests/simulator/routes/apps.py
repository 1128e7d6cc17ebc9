"""Routes of the App itself: who it is, where it is installed, its tokens, its deliveries"""

from tests.simulator.auth import Tokens, token_answer
from tests.simulator.errors import Refusal, not_found
from tests.simulator.http import Answer, Call, Router, natural
from tests.simulator.limits import Meter
from tests.simulator.model import Installation, Json
from tests.simulator.shapes import accounts, repositories
from tests.simulator.webhooks import Webhooks


def routes(tokens: Tokens, webhooks: Webhooks, meter: Meter) -> Router:
    """https://docs.github.com/rest/apps and https://docs.github.com/rest/rate-limit"""
    router = Router()
    _app_routes(router)
    _token_routes(router, tokens)
    _delivery_routes(router, webhooks)

    @router.add("GET", "/rate_limit")
    def rate_limit(call: Call) -> Answer:
        meter.give_back(call.caller.bucket)
        rate = meter.rate(call.caller.bucket)
        unused = {"limit": 30, "remaining": 30, "reset": rate["reset"], "used": 0}
        return Answer(body={"resources": {"core": rate, "search": unused, "graphql": rate}, "rate": rate})

    @router.add("GET", "/meta")
    def meta(call: Call) -> Answer:
        return Answer(body={"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8"]})

    return router


def _app_routes(router: Router) -> None:
    @router.add("GET", "/app")
    def app(call: Call) -> Answer:
        return Answer(body=accounts.app(call.world, call.app(), owned=True))

    @router.add("GET", "/app/installations")
    def installations(call: Call) -> Answer:
        call.app()
        present = [each for each in call.world.installations.values() if not each.deleted]
        return call.page(present, lambda each: accounts.installation(call.world, each))

    @router.add("GET", "/app/installations/{installation_id}")
    def installation(call: Call) -> Answer:
        return Answer(body=accounts.installation(call.world, _installation(call)))

    @router.add("GET", "/repos/{owner}/{repo}/installation")
    def installation_of(call: Call) -> Answer:
        call.app()
        repository = call.named_repository()
        found = call.world.installed_on(repository)
        if found is None:
            raise not_found()
        return Answer(body=accounts.installation(call.world, found))

    @router.add("GET", "/orgs/{account}/installation")
    @router.add("GET", "/users/{account}/installation")
    def installation_on(call: Call) -> Answer:
        call.app()
        account = call.world.accounts.get(call.parameters["account"].lower())
        found = None if account is None else call.world.installation_of(account)
        if found is None:
            raise not_found()
        return Answer(body=accounts.installation(call.world, found))

    @router.add("POST", "/app-manifests/{code}/conversions")
    def convert(call: Call) -> Answer:
        app = call.world.app
        if call.parameters["code"] != f"code-of-{app.slug}":
            raise not_found()
        secrets = {"client_secret": "0" * 40, "webhook_secret": app.webhook_secret, "pem": app.private_key}
        return Answer(201, {**accounts.app(call.world, app), "client_id": app.client_id, **secrets})


def _token_routes(router: Router, tokens: Tokens) -> None:
    @router.add("POST", "/app/installations/{installation_id}/access_tokens")
    def access_token(call: Call) -> Answer:
        installation, body = _installation(call), call.json()
        if installation.suspended_at is not None:
            raise Refusal(403, "This installation has been suspended")
        wanted: dict[str, str] = body.get("permissions") or installation.permissions
        if any(installation.permissions.get(name) is None for name in wanted):
            raise Refusal(422, "The permissions requested are not granted to this installation.")
        only = _narrowed(call, installation, body)
        token = tokens.issue(installation, dict(wanted), only)
        selection = "all" if installation.repositories is None and only is None else "selected"
        return Answer(201, token_answer(token, {"repository_selection": selection}))

    @router.add("DELETE", "/installation/token")
    def revoke(call: Call) -> Answer:
        call.installation()
        tokens.revoke(call.headers["authorization"].split(" ", 1)[1])
        return Answer(204)

    @router.add("GET", "/installation/repositories")
    def installation_repositories(call: Call) -> Answer:
        installation = call.installation()
        covered = [each for each in call.world.repositories.values() if call.world.installed_on(each) is installation]
        answer = call.page(covered, lambda each: repositories.repository(call.world, each))
        answer.body = {"total_count": len(covered), "repositories": answer.body}
        return answer


def _delivery_routes(router: Router, webhooks: Webhooks) -> None:
    @router.add("GET", "/app/hook/config")
    def config(call: Call) -> Answer:
        url = call.app().webhook_url or ""
        return Answer(body={"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url})

    @router.add("GET", "/app/hook/deliveries")
    def deliveries(call: Call) -> Answer:
        call.app()
        size = natural(call.query.get("per_page"), 30, most=100)
        shown, cursor = webhooks.log(size, call.query.get("cursor"), call.query.get("status"))
        headers = {} if cursor is None else {"link": f'<{call.link(cursor=cursor)}>; rel="next"'}
        return Answer(body=[each.item() for each in shown], headers=headers)

    @router.add("GET", "/app/hook/deliveries/{delivery_id}")
    def delivery(call: Call) -> Answer:
        call.app()
        return Answer(body=webhooks.find(call.number("delivery_id")).full())

    @router.add("POST", "/app/hook/deliveries/{delivery_id}/attempts")
    def attempt(call: Call) -> Answer:
        call.app()
        webhooks.redeliver(webhooks.find(call.number("delivery_id")))
        return Answer(202, {})


def _installation(call: Call) -> Installation:
    call.app()
    found = call.world.installations.get(call.number("installation_id"))
    if found is None or found.deleted:
        raise not_found()
    return found


def _narrowed(call: Call, installation: Installation, body: Json) -> frozenset[int] | None:
    login = installation.account.login
    named = {call.world.repository(login, name).id for name in body.get("repositories") or ()}
    return frozenset({*named, *(body.get("repository_ids") or ())}) or None
