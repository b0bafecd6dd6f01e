"""Each rule of the house can fail: a sound tree passes them all, and one change to it breaks one rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from . import play_rules, python_rules, role_rules, secret_rules
from .project_files import playbooks, roles, tasks
from .test_repository import ROOT, RULES, Rule

SOUND = {
    "site.yml": """
- name: All
  ansible.builtin.import_playbook: playbooks/site.yml
""",
    "playbooks/site.yml": """
- name: Configure the apps
  hosts: app
  any_errors_fatal: true
  pre_tasks:
    - name: Check the contract
      farrier.kit.keep_contract:
  roles:
    - role: farrier.kit.web
  tasks:
    - name: Install the web server
      ansible.builtin.import_role: {name: farrier.kit.web}
    - name: Prepare the site
      ansible.builtin.include_role:
        name: farrier.kit.web
        apply: {tags: web}
      tags: web
    - name: Do several things
      block:
        - name: Write a secret
          ansible.builtin.copy: {content: !vault "x", dest: /x}
      rescue:
        - name: Report the failure
          ansible.builtin.fail: {msg: "told"}

- name: Best effort
  hosts: all
  any_errors_fatal: false # a host that is down does not matter here
  tasks: []
""",
    "plugins/modules/keep_contract.py": "import json\n",
    "plugins/modules/open_account.py": 'SPEC = {"token": {"type": "str", "no_log": True}}\n',
    "roles/web/defaults/main.yml": "web_port: 80\n",
    "roles/web/vars/main.yml": "__web_user: www-data\n",
    "roles/web/meta/main.yml": """
galaxy_info: {author: X, license: Y, description: Z, platforms: [{name: Debian, versions: [trixie]}]}
""",
    "roles/web/meta/argument_specs.yml": """
argument_specs:
  main:
    short_description: The web server
    options:
      web_port: {description: Where it listens., type: int, default: 80}
      web_token: {description: Key of an account., type: str, no_log: true, required: true}
      web_sites:
        description: What it serves.
        type: list
        elements: dict
        required: true
        options:
          name: {description: Name., type: str}
""",
    "roles/web/tasks/main.yml": """
- name: Get the version
  ansible.builtin.command: nginx -v
  changed_when: false
  register: __web_version

- name: Create the account
  farrier.kit.open_account: {token: "{{ web_token }}"}
  loop: "{{ web_sites | map(attribute='name') }}"
  when: web_token | length > 0

- name: Create the token
  ansible.builtin.copy: {content: "{{ web_token }}", dest: /token}
  no_log: true

- name: Write the token
  ansible.builtin.file: {path: "{{ '/token' if web_token else '/none' }}", state: touch}

- name: Create the site
  ansible.builtin.template: {src: etc/nginx.conf.j2, dest: /etc/nginx.conf}
  loop: "{{ web_apps | map(attribute='name') }}"
  vars: {site: "{{ web_apps | selectattr('name', 'equalto', item) | first }}"}

- name: Show the site
  ansible.builtin.debug: {msg: "{{ web_app.name }} of {{ web_apps | map(attribute='name') }}"}

- name: Write the key
  ansible.builtin.command: openssl rand -out /key 32
  args: {creates: /key}
  vars: {local: "{{ web_port }}"}
""",
    "roles/web/handlers/main.yml": """
- name: Reload the web server
  ansible.builtin.service: {name: nginx, state: reloaded}
  listen: reload
""",
    "roles/web/templates/etc/nginx.conf.j2": "listen {{ web_port }};\n",
    "roles/other/tasks/main.yml": "",
    "roles/other/defaults/main.yml": "other_depth: 1\n",
    "roles/other/meta/main.yml": """
galaxy_info: {author: X, license: Y, description: Z, platforms: [{name: Debian, versions: [trixie]}]}
""",
    "roles/other/meta/argument_specs.yml": """
argument_specs:
  main:
    short_description: Another role
    options: {other_depth: {description: How deep., type: int}}
""",
    "tests/test_x.py": '''
import pytest

def test_x() -> None:
    """Why."""
    value = __import__("x")  # noqa: F401  # its import is what is tested
''',
}

# (rule, file, text to replace or "" for all of it, new text or None to remove the file, part of the message)
BREAKS: list[tuple[Rule, str, str, str | None, str]] = [
    (
        play_rules.every_play_is_fatal_for_all,
        "playbooks/site.yml",
        "  any_errors_fatal: true\n",
        "",
        "play 'Configure the apps' needs any_errors_fatal",
    ),
    (
        play_rules.every_play_is_fatal_for_all,
        "playbooks/site.yml",
        " # a host that is down does not matter here",
        "",
        "play 'Best effort' needs any_errors_fatal",
    ),
    (
        play_rules.no_errors_are_ignored,
        "roles/web/tasks/main.yml",
        "  changed_when: false\n",
        "  changed_when: false\n  ignore_errors: true\n",
        "'Get the version' has ignore_errors",
    ),
    (
        play_rules.no_errors_are_ignored,
        "playbooks/site.yml",
        "  hosts: app\n",
        "  hosts: app\n  ignore_errors: true\n",
        "play 'Configure the apps' has ignore_errors",
    ),
    (
        play_rules.every_command_says_when_it_changes,
        "roles/web/tasks/main.yml",
        "  changed_when: false\n",
        "",
        "'Get the version' runs a command without changed_when",
    ),
    (
        play_rules.every_command_says_when_it_changes,
        "roles/web/tasks/main.yml",
        "  args: {creates: /key}\n",
        "  args: {chdir: /}\n",
        "'Write the key' runs a command without changed_when",
    ),
    (
        play_rules.tags_reach_what_is_included,
        "playbooks/site.yml",
        "        apply: {tags: web}\n",
        "",
        "'Prepare the site' has tags that do not reach what it includes",
    ),
    (
        play_rules.no_set_decides_an_order,
        "roles/web/tasks/main.yml",
        "of {{ web_apps | map(attribute='name') }}",
        "of {{ web_apps | difference(web_sites) | join(', ') }}",
        "joins the result of a filter of sets",
    ),
    (
        play_rules.no_set_decides_an_order,
        "roles/web/templates/etc/nginx.conf.j2",
        "{{ web_port }}",
        "{{ web_port | union([1]) }}",
        "uses a filter of sets",
    ),
    (
        play_rules.every_module_is_fully_qualified,
        "playbooks/site.yml",
        "ansible.builtin.fail",
        "fail",
        "'Report the failure' uses fail",
    ),
    (
        play_rules.every_module_is_fully_qualified,
        "playbooks/site.yml",
        "farrier.kit.keep_contract",
        "keep_contract",
        "'Check the contract' uses keep_contract",
    ),
    (
        play_rules.every_module_is_fully_qualified,
        "playbooks/site.yml",
        "      farrier.kit.keep_contract:\n",
        "      when: true\n",
        "has no module",
    ),
    (
        play_rules.every_task_has_a_name_of_its_own,
        "roles/web/handlers/main.yml",
        "- name: Reload the web server\n ",
        "-",
        "a task has no name",
    ),
    (
        play_rules.every_task_has_a_name_of_its_own,
        "roles/web/tasks/main.yml",
        "Write the key",
        "Get the version",
        "'Get the version' is the name of two tasks",
    ),
    (
        play_rules.every_task_has_a_name_of_its_own,
        "playbooks/site.yml",
        "- name: Best effort\n ",
        "-",
        "the play for 'all' has no name",
    ),
    (
        play_rules.every_task_file_fits_a_screen,
        "roles/web/tasks/main.yml",
        "  changed_when: false\n",
        "  changed_when: false\n" + "  # x\n" * 70,
        "lines; split it",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/meta/argument_specs.yml",
        "",
        None,
        "has no entry point main",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/meta/argument_specs.yml",
        "    short_description: The web server\n",
        "",
        "main has no short_description",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/defaults/main.yml",
        "web_port: 80\n",
        "web_port: 80\nweb_more: 1\n",
        "web_more of defaults/ is missing",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/defaults/main.yml",
        "web_port: 80\n",
        "",
        "web_port is neither required nor in defaults/",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/defaults/main.yml",
        "80",
        "8080",
        "web_port has another default than defaults/: 80",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/meta/argument_specs.yml",
        ", type: int",
        "",
        "web_port has no type",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/meta/argument_specs.yml",
        "description: Name., ",
        "",
        "web_sites.name has no description",
    ),
    (
        role_rules.every_role_has_complete_specs,
        "roles/web/meta/argument_specs.yml",
        "        elements: dict\n",
        "",
        "web_sites is a list without elements",
    ),
    (
        role_rules.every_role_has_a_current_readme,
        "roles/web/meta/argument_specs.yml",
        "Where it listens.",
        "Where it listens now.",
        "roles/web/README.md: is missing or stale",
    ),
    (
        role_rules.every_role_has_a_current_readme,
        "roles/web/README.md",
        "",
        None,
        "roles/web/README.md: is missing or stale",
    ),
    (role_rules.every_role_has_a_current_readme, "roles/web/meta/main.yml", "", None, "has no meta/main.yml"),
    (
        role_rules.every_variable_bears_its_role,
        "roles/other/defaults/main.yml",
        "other_depth",
        "depth",
        "depth does not begin with other_",
    ),
    (
        role_rules.every_variable_bears_its_role,
        "roles/web/vars/main.yml",
        "__web_user",
        "web_user",
        "web_user does not begin with __web_",
    ),
    (
        role_rules.every_variable_bears_its_role,
        "roles/web/tasks/main.yml",
        "register: __web_version",
        "register: version",
        "'Get the version' sets version",
    ),
    (
        role_rules.every_variable_bears_its_role,
        "roles/web/tasks/main.yml",
        "  ansible.builtin.command: nginx -v\n",
        "  ansible.builtin.set_fact: {found: 1, cacheable: true}\n",
        "'Get the version' sets found",
    ),
    (
        role_rules.no_role_knows_anothers_variables,
        "roles/web/templates/etc/nginx.conf.j2",
        "web_port",
        "other_depth",
        "mentions other_depth of the role other",
    ),
    (
        role_rules.no_role_knows_anothers_variables,
        "roles/other/tasks/main.yml",
        "",
        "# as __web_user does\n",
        "mentions __web_user of the role web",
    ),
    (
        role_rules.no_python_is_templated,
        "roles/web/templates/tool.py.j2",
        "",
        "print({{ web_port }})\n",
        "is a Python program made by a template",
    ),
    (
        role_rules.no_python_is_templated,
        "roles/web/templates/tool.j2",
        "",
        "#!/usr/bin/env python3\n",
        "is a Python program made by a template",
    ),
    (
        python_rules.every_test_says_why,
        "tests/test_x.py",
        '    """Why."""\n',
        "",
        "test_x has no docstring",
    ),
    (
        python_rules.no_test_is_skipped,
        "tests/test_x.py",
        "def test_x",
        "@pytest.mark.skipif(True)\ndef test_x",
        "uses pytest.mark.skipif",
    ),
    (
        python_rules.no_test_is_skipped,
        "tests/test_x.py",
        "    value =",
        "    pytest.skip('later')\n    value =",
        "uses pytest.skip",
    ),
    (
        play_rules.every_role_is_fully_qualified,
        "playbooks/site.yml",
        "role: farrier.kit.web",
        "role: web",
        "uses the role web",
    ),
    (
        play_rules.every_role_is_fully_qualified,
        "playbooks/site.yml",
        "{name: farrier.kit.web}",
        "{name: web}",
        "'Install the web server' uses the role web",
    ),
    (
        python_rules.no_plugin_changes_where_python_imports_from,
        "plugins/modules/keep_contract.py",
        "import json",
        "import sys\n\nsys.path.append('.')",
        "plugins/modules/keep_contract.py:3: touches sys.path",
    ),
    (
        python_rules.every_exception_gives_its_reason,
        "tests/test_x.py",
        "  # its import is what is tested",
        "",
        "silences a linter",
    ),
    (
        python_rules.every_exception_gives_its_reason,
        "tests/test_x.py",
        "noqa: F401  # its import is what is tested",
        "type: ignore[import]",
        "silences a linter",
    ),
    (
        python_rules.every_exception_gives_its_reason,
        "roles/web/tasks/main.yml",
        "  changed_when: false\n",
        "  changed_when: false # noqa no-changed-when\n",
        "silences a linter",
    ),
    (
        secret_rules.no_loop_carries_an_app,
        "roles/web/tasks/main.yml",
        "web_apps | map(attribute='name') }}\"\n  vars",
        'web_apps }}"\n  vars',
        "'Create the site' loops over whole apps",
    ),
    (
        secret_rules.no_task_says_an_app,
        "roles/web/tasks/main.yml",
        "web_app.name",
        "web_app",
        "'Show the site' says a whole app",
    ),
    (
        secret_rules.no_task_says_an_app,
        "roles/web/tasks/main.yml",
        'ansible.builtin.debug: {msg: "{{ web_app.name }}',
        'ansible.builtin.set_fact: {web_x: "{{ web_apps[0] }}',
        "'Show the site' says a whole app",
    ),
    (
        secret_rules.no_task_says_a_secret,
        "roles/web/tasks/main.yml",
        "/token}\n  no_log: true\n",
        "/token}\n",
        "'Create the token' says a secret",
    ),
    (
        secret_rules.no_task_says_a_secret,
        "roles/web/tasks/main.yml",
        "{{ web_app.name }} of",
        "{{ web_app.secrets }} of",
        "'Show the site' says a secret",
    ),
    (
        secret_rules.no_task_says_a_secret,
        "roles/web/tasks/main.yml",
        "web_sites | map(attribute='name')",
        "web_sites | map('edge_users') | flatten",
        "'Create the account' says a secret",
    ),
    (
        secret_rules.no_task_says_a_secret,
        "roles/web/templates/etc/nginx.conf.j2",
        "web_port",
        "web_token",
        "'Create the site' says a secret",
    ),
    (
        secret_rules.no_task_says_a_secret,
        "plugins/modules/open_account.py",
        ', "no_log": True',
        "",
        "'Create the account' says a secret",
    ),
]


@pytest.fixture(scope="session")
def sound_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree that keeps every rule, with the READMEs that `make docs` would make."""
    root = tmp_path_factory.mktemp("sound")
    for name, content in SOUND.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for name in (".aar_doc.yml", "tools/role_readme.md.j2", "tools/docs"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for role in roles(root):
        assert role_rules.make_readme(root, role, role / "README.md") == ""
    return root


@pytest.fixture
def tree(sound_tree: Path, tmp_path: Path) -> Path:
    """Return a copy of the sound tree to break."""
    shutil.copytree(sound_tree, tmp_path / "tree")
    return tmp_path / "tree"


def test_sound_tree_is_read(sound_tree: Path) -> None:
    """Nothing escapes the rules: playbooks, roles, and the tasks of plays, blocks, roles and handlers."""
    assert [path.name for path in playbooks(sound_tree)] == ["site.yml", "site.yml"]
    assert [path.name for path in roles(sound_tree)] == ["other", "web"]
    assert {task.name for task in tasks(sound_tree)} == {
        *("Check the contract", "Do several things", "Write a secret", "Report the failure"),
        *("Install the web server", "Prepare the site"),
        *("Get the version", "Write the key", "Reload the web server"),
        *("Create the account", "Create the token", "Write the token"),
        *("Create the site", "Show the site"),
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sound_tree_keeps_the_rule(rule: Rule, sound_tree: Path) -> None:
    """A rule that refuses good work is as bad as one that lets mistakes pass."""
    assert list(rule(sound_tree)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_empty_tree_keeps_the_rule(rule: Rule, tmp_path: Path) -> None:
    """Before the first role there is nothing to refuse."""
    assert list(rule(tmp_path)) == []


@pytest.mark.parametrize(("rule", "file", "old", "new", "message"), BREAKS)
def test_rule_finds_the_break(
    rule: Rule, file: str, old: str, new: str | None, message: str, tree: Path
) -> None:
    """The rule names the file and what is wrong, once."""
    path = tree / file
    if new is None:
        path.unlink()
    else:
        content = path.read_text() if path.exists() else ""
        assert old in content
        path.write_text(content.replace(old, new, 1) if old else new)
    violations = list(rule(tree))
    assert len(violations) == 1, violations
    assert message in violations[0]
    assert str(tree) in violations[0]


def test_every_rule_is_tried() -> None:
    """A rule that is added without a break to find is not known to work."""
    assert {rule for rule, *_ in BREAKS} == set(RULES)
