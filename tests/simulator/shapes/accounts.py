"""Accounts, the App and its installations as JSON"""

from tests.simulator.model import Account, App, Installation, Json
from tests.simulator.world import World, node_id


def user(world: World, account: Account) -> Json:
    """`simple-user`: a person, a bot or an organisation."""
    url = f"{world.url}/users/{account.login}"
    html = account.login.removesuffix("[bot]")
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id(account),
        "avatar_url": f"{world.url}/avatars/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{world.url}/apps/{html}" if account.type == "Bot" else f"{world.url}/{html}",
        "followers_url": f"{url}/followers",
        "following_url": url + "/following{/other_user}",
        "gists_url": url + "/gists{/gist_id}",
        "starred_url": url + "/starred{/owner}{/repo}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": url + "/events{/privacy}",
        "received_events_url": f"{url}/received_events",
        "type": account.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def app(world: World, each: App, *, owned: bool = False) -> Json:
    """`integration`; its owner also sees how often it is installed."""
    shown: Json = {
        "id": each.id,
        "slug": each.slug,
        "client_id": each.client_id,
        "node_id": node_id(each),
        "owner": user(world, each.owner),
        "name": each.slug,
        "description": "Reviews pull requests",
        "external_url": f"{world.url}/apps/{each.slug}",
        "html_url": f"{world.url}/apps/{each.slug}",
        "created_at": each.created_at,
        "updated_at": each.created_at,
        "permissions": dict(each.permissions),
        "events": list(each.events),
    }
    if owned:
        shown["installations_count"] = sum(not one.deleted for one in world.installations.values())
    return shown


def installation(world: World, each: Installation) -> Json:
    """`installation`, as lists and webhooks show it."""
    here = f"{world.url}/app/installations/{each.id}"
    kind = "organizations/" if each.account.is_organization else ""
    return {
        "id": each.id,
        "node_id": node_id(each),
        "client_id": world.app.client_id,
        "account": {**user(world, each.account), **_as_enterprise(each)},
        "repository_selection": "all" if each.repositories is None else "selected",
        "access_tokens_url": f"{here}/access_tokens",
        "repositories_url": f"{world.url}/installation/repositories",
        "html_url": f"{world.url}/{kind}{each.account.login}/settings/installations/{each.id}",
        "app_id": world.app.id,
        "app_slug": world.app.slug,
        "target_id": each.account.id,
        "target_type": each.account.type,
        "permissions": dict(each.permissions),
        "events": list(world.app.events),
        "created_at": each.created_at,
        "updated_at": each.created_at,
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": user(world, each.suspended_by) if each.suspended_by else None,
        "suspended_at": each.suspended_at,
    }


def _as_enterprise(each: Installation) -> Json:
    """What an enterprise has beyond a user: the description of the list asks for the fields of both."""
    name = each.account.login
    return {"name": name, "slug": name, "created_at": each.created_at, "updated_at": each.created_at}
