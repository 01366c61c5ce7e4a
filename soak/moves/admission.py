"""Moves with what decides on other requests: webhooks at dead addresses, policies, priority and fairness.

The one rule: most of them mean a few requests only, because one that refuses everything makes the rest of a scenario
dull; some mean everything.
"""

from __future__ import annotations

from soak.model import Step
from soak.moves.move import Move, move
from soak.world import World, of_baseline

DEAD = "https://127.0.0.1:1"
"""Nobody listens there; it is refused at once."""


def _client(world: World) -> dict[str, object]:
    service = {"namespace": "default", "name": "nobody", "path": "/w", "port": 443}
    return world.dice.pick(({"url": f"{DEAD}/w"}, {"url": f"{DEAD}/w"}, {"service": service}))


def _rule(world: World) -> dict[str, object]:
    dice = world.dice
    group, resources = dice.weighted(
        (
            ("", ["configmaps"]),
            ("", ["services", "pods/binding"]),
            ("apps", ["deployments", "deployments/scale"]),
            ("example.org", ["*"]),
            ("rbac.authorization.k8s.io", ["clusterroles"]),
            ("*", ["*/*"]),
        ),
        (5, 3, 3, 3, 1, 1),
    )
    operations: list[str] = dice.pick((["CREATE"], ["CREATE", "UPDATE"], ["DELETE"], ["*"]))
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": operations, "resources": resources, "scope": "*"}


def _hook(world: World, number: int) -> dict[str, object]:
    dice = world.dice
    condition = {"name": "not-system", "expression": "!request.userInfo.username.startsWith('system:')"}
    own = {"matchLabels": {"kubernetes.io/metadata.name": dice.pick(world.namespaces)}}
    return {
        "name": f"w{number}.{dice.word()}.example.org",
        "clientConfig": _client(world),
        "rules": [_rule(world)],
        "failurePolicy": dice.pick(("Ignore", "Fail")),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": dice.between(1, 3),
        **dice.maybe(0.3, matchConditions=[condition]),
        **dice.maybe(0.4, namespaceSelector=own),
    }


def _hooks(world: World, plural: str) -> list[Step]:
    hooks = [_hook(world, number) for number in range(world.dice.between(1, 2))]
    steps = [world.create(plural, {"webhooks": hooks})]
    if world.dice.chance(0.3):
        steps.append(world.delete(world.made[-1]))
    return steps


@move(4)
def validating_webhook(world: World) -> list[Step]:
    """A webhook that would say yes or no, if it answered."""
    return _hooks(world, "validatingwebhookconfigurations")


@move(3)
def mutating_webhook(world: World) -> list[Step]:
    """A webhook that would change things, if it answered."""
    return _hooks(world, "mutatingwebhookconfigurations")


@move(4)
def validating_policy(world: World) -> list[Step]:
    """A ValidatingAdmissionPolicy, and mostly the binding that puts it in force."""
    dice = world.dice
    expression = dice.pick(("false", "true", "object == null || object.metadata.name != 'web-0'"))
    spec: dict[str, object] = {
        "failurePolicy": dice.pick(("Ignore", "Fail")),
        "matchConstraints": {"resourceRules": [_rule(world)]},
        "validations": [{"expression": expression, "message": "soaked"}],
    }
    binding: dict[str, object] = {"validationActions": dice.pick((["Deny"], ["Deny"], ["Warn", "Audit"]))}
    if dice.chance(0.2):
        spec["paramKind"] = {"apiVersion": "v1", "kind": "ConfigMap"}
        binding["paramRef"] = {"name": dice.name(), "namespace": "default", "parameterNotFoundAction": "Allow"}
    steps = [world.create("validatingadmissionpolicies", {"spec": spec})]
    if dice.chance(0.8):
        binding["policyName"] = world.made[-1].name
        steps.append(world.create("validatingadmissionpolicybindings", {"spec": binding}))
    return steps


@move(3)
def mutating_policy(world: World) -> list[Step]:
    """A MutatingAdmissionPolicy, where those are served, and its binding."""
    dice = world.dice
    key = dice.word()
    change = f'Object{{metadata: Object.metadata{{annotations: {{"{key}": "soaked"}}}}}}'
    rule = {**_rule(world), "operations": dice.pick((["CREATE"], ["CREATE", "UPDATE"]))}
    spec = {
        "failurePolicy": dice.pick(("Ignore", "Fail")),
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}],
    }
    steps = [world.create("mutatingadmissionpolicies", {"spec": spec})]
    binding = {"spec": {"policyName": world.made[-1].name}}
    return [*steps, world.create("mutatingadmissionpolicybindings", binding)]


@move(3)
def api_service(world: World) -> list[Step]:
    """A group of an API that nobody serves, which all of discovery waits for."""
    dice = world.dice
    group = f"{dice.word()}.nowhere.example.org"
    spec = {
        "group": group,
        "version": "v1",
        "service": {"namespace": dice.pick(("default", "kube-system")), "name": "nobody", "port": 443},
        "groupPriorityMinimum": dice.between(1, 20000),
        "versionPriority": dice.between(1, 1000),
        "insecureSkipTLSVerify": True,
    }
    steps = [world.create("apiservices", {"spec": spec}, name=f"v1.{group}")]
    if dice.chance(0.3):
        steps.append(world.delete(world.made[-1]))
    return steps


@move(2)
def flow_schema(world: World) -> list[Step]:
    """A FlowSchema and its level, or a change of those that every cluster has."""
    dice = world.dice
    if dice.chance(0.5):
        name = dice.pick(("global-default", "catch-all", "service-accounts", "exempt"))
        made = of_baseline("flowschemas", name)
        return [world.merge(made, {"spec": {"matchingPrecedence": 9000}})]
    level = {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}
    steps = [world.create("prioritylevelconfigurations", {"spec": level})]
    spec = {
        "priorityLevelConfiguration": {"name": world.made[-1].name},
        "matchingPrecedence": dice.between(1, 10000),
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "alice"}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        ],
    }
    return [*steps, world.create("flowschemas", {"spec": spec})]


MOVES: tuple[Move, ...] = (
    validating_webhook, mutating_webhook, validating_policy, mutating_policy, api_service, flow_schema,
)  # fmt: skip
