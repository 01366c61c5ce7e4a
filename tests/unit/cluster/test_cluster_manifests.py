from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.cluster.manifests import Document, is_text, read_manifests
from pytest_vcluster.errors import ManifestError

ONE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"
TWO = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n"
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}


def names(documents):
    return [document.object["metadata"]["name"] for document in documents]


def test_a_file_of_many_documents_tells_where_each_one_is(tmp_path):
    (tmp_path / "all.yaml").write_text(f"# first\n---\n{ONE}---\n# nothing\n---\n{TWO}")
    one, two = read_manifests("all.yaml", bases=[tmp_path])
    assert (one.file, one.number, one.line) == (tmp_path / "all.yaml", 1, 3)
    assert (two.number, two.line) == (3, 9)
    assert two.where == f"{tmp_path / 'all.yaml'}, document 3, line 9"


def test_paths_folders_and_globs_are_found_in_a_stable_order(tmp_path):
    folder = tmp_path / "crd" / "deeper"
    folder.mkdir(parents=True)
    (tmp_path / "crd" / "b.yaml").write_text(TWO)
    (tmp_path / "crd" / "a.yml").write_text(ONE)
    (tmp_path / "crd" / "notes.txt").write_text("not a manifest")
    (folder / "c.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "three"}}')
    assert names(read_manifests("crd", bases=[tmp_path])) == ["one", "two"]
    assert names(read_manifests(tmp_path / "crd" / "b.yaml", bases=[Path("/nowhere")])) == ["two"]
    assert names(read_manifests("crd/*.y*ml", bases=[tmp_path])) == ["one", "two"]
    assert names(read_manifests("crd/**/*.json", bases=[tmp_path])) == ["three"]


def test_text_dicts_lists_and_documents_are_read_alike(tmp_path):
    (tmp_path / "two.yaml").write_text(TWO)
    document = Document(object=OBJECT, file=Path("x"), number=4, line=7)
    found = read_manifests([OBJECT, "two.yaml", ONE, document, [OBJECT]], bases=[tmp_path])
    assert names(found) == ["one", "two", "one", "one", "one"]
    assert found[3] is document


def test_the_items_of_a_list_are_objects_with_lines_of_their_own():
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: one}\n"
    text += "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: two}\n"
    found = read_manifests(text, bases=[Path()])
    assert names(found) == ["one", "two"]
    assert [document.line for document in found] == [4, 7]
    typed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [OBJECT]}
    assert names(read_manifests(typed, bases=[Path()])) == ["one"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("- a\n- b\n", 1, "is a list, not a Kubernetes object"),
        ("just words\n", 1, "is a str, not a Kubernetes object"),
        (f"{ONE}---\nkind: ConfigMap\nmetadata: {{name: x}}\n", 5, "has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}\n", 1, "has no kind"),
        ("apiVersion: v1\nkind: [Pod]\nmetadata: {name: x}\n", 1, "has no kind"),
        ("apiVersion: v1\nkind: Pod\n", 1, "the Pod has no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 7}\n", 1, "the Pod has no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n", 1, "generateName is for creating"),
        ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n", 4, "the Pod has no metadata.name"),
        (f"{ONE}---\na: b\n c: d\n", 6, "is not YAML"),
        ("apiVersion: v1\nkind: Pod\nkind: Job\nmetadata: {name: x}\n", 3, "the key 'kind' is there twice"),
        ("a: *nowhere\n", 1, "is not YAML: found undefined alias"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {a: .nan}\n", 1, "can't be said in JSON"),
    ],
)
def test_an_invalid_manifest_is_told_by_file_document_and_line(tmp_path, text, line, problem):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    number = 2 if text.startswith(ONE) else 1
    with pytest.raises(ManifestError) as caught:
        read_manifests(path, bases=[tmp_path])
    assert str(caught.value).startswith(f"{path}, document {number}, line {line}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("https://example.com/crd.yaml", "is a URL"),
        ("nowhere/*.yaml", r"names no manifest .* looked in /"),
        ("", "names no manifest|can't be read|holds no"),
        ([], "holds no Kubernetes object"),
        (7, "is a int; allowed: a path"),
        ([None], "is a NoneType; allowed: a path"),
        ({"kind": "Pod"}, "the objects given, number 1: has no apiVersion"),
        ([OBJECT, {"kind": "Pod"}], "the objects given, number 2: has no apiVersion"),
        ({**OBJECT, "data": {"a": {1, 2}}}, "can't be said in JSON"),
        ("---\n---\n", "holds no Kubernetes object"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, source, problem):
    with pytest.raises(ManifestError, match=problem):
        read_manifests(source, bases=[tmp_path])


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ManifestError, match="latin.yaml: can't be read"):
        read_manifests("latin.yaml", bases=[tmp_path])
    (tmp_path / "empty.yaml").write_text("# nothing here\n")
    with pytest.raises(ManifestError, match="empty.yaml: holds no Kubernetes object"):
        read_manifests("empty.yaml", bases=[tmp_path])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("22:22", "22:22"),
        ("1:30.5", "1:30.5"),
        ("=", "="),
        ("0644", 420),
        ("12", 12),
        ("1.5", 1.5),
        ("yes", True),
        ("'yes'", "yes"),
        ("null", None),
    ],
)
def test_yaml_is_read_as_kubernetes_reads_it(text, value):
    (document,) = read_manifests(f"{ONE}data: {text}\n", bases=[Path()])
    assert document.object["data"] == value


def test_merge_keys_may_repeat_what_they_override():
    text = f"{ONE}x: &x {{a: 1, b: 2}}\ny:\n  <<: *x\n  a: 3\n"
    (document,) = read_manifests(text, bases=[Path()])
    assert document.object["y"] == {"a": 3, "b": 2}


@given(st.lists(st.sampled_from([ONE, TWO, "# empty\n", "\n"]), max_size=6))
def test_every_document_that_is_there_is_read_once_and_in_order(texts):
    expected = ["one" if text is ONE else "two" for text in texts if text in (ONE, TWO)]
    text = "---\n".join(["\n", *texts])
    if expected:
        assert names(read_manifests(text, bases=[Path()])) == expected
    else:
        with pytest.raises(ManifestError):
            read_manifests(text, bases=[Path()])


@pytest.mark.parametrize(
    ("source", "text"),
    [("crd/x.yaml", False), ("*.yaml", False), (ONE, True), ('{"kind": "Pod"}', True), ("[ab].yaml", False)],
)
def test_text_and_file_names_are_told_apart(source, text):
    assert is_text(source) is text
