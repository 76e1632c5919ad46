"""A policy is read as the official SDK writes it, and refused by name where it can't be."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_agb.local.contexts.policy import PolicyError, SyncPolicy, WhiteList, parse


def test_the_sdks_default_is_ours(sdk: Any) -> None:
    from agb.context_sync import SyncPolicy as SdkPolicy

    assert parse(SdkPolicy().to_dict()) == parse({}) == SyncPolicy()


def test_everything_the_sdk_can_say_is_understood(sdk: Any) -> None:
    from agb import context_sync as names

    policy = names.SyncPolicy(
        upload_policy=names.UploadPolicy(auto_upload=False, upload_mode=names.UploadMode.ARCHIVE),
        download_policy=names.DownloadPolicy(auto_download=False),
        delete_policy=names.DeletePolicy(sync_local_file=False),
        extract_policy=names.ExtractPolicy(extract=False, delete_src_file=False, extract_current_folder=True),
        recycle_policy=names.RecyclePolicy(names.Lifecycle.LIFECYCLE_30DAYS, ["temp", "/logs/"]),
        bw_list=names.BWList([names.WhiteList("/src", ["/out"])]),
        mapping_policy=names.MappingPolicy("/tmp/there"),
    )
    assert parse(policy.to_dict()) == SyncPolicy(
        auto_upload=False, archive=True, auto_download=False, sync_deletions=False, extract=False,
        drop_archive=False, extract_here=True, keep_seconds=30 * 86400.0, keep_paths=("temp", "logs"),
        white_lists=(WhiteList("src", ("out",)),), mapped_from="/tmp/there",
    )  # fmt: skip


def test_every_lifecycle_of_the_sdk_has_its_length(sdk: Any) -> None:
    from agb.context_sync import Lifecycle

    days = [parse({"recyclePolicy": {"lifecycle": one.value}}).keep_seconds for one in Lifecycle]
    assert [one and one / 86400 for one in days] == [1, 3, 5, 10, 15, 30, 90, 180, 360, None]


@pytest.mark.parametrize(
    ("lists", "name", "included"),
    [
        ([], "anything", True),
        ([("", [])], "anything", True),
        ([("src", [])], "src/a", True),
        ([("src", [])], "src2/a", False),
        ([("src", [])], "other/src/a", False),
        ([("a.txt", [])], "a.txt", True),
        ([("src", ["out"])], "src/out/x", False),
        ([("src", ["out"])], "src/output", True),
        ([("src", ["out"]), ("src/out/kept", [])], "src/out/kept/x", True),
        ([("", ["out"])], "out/x", False),
        ([("*.txt", [])], "a.txt", False),
    ],
)
def test_a_white_list_takes_paths_as_they_are(
    lists: list[tuple[str, list[str]]], name: str, included: bool
) -> None:
    policy = parse({"bwList": {"whiteLists": [{"path": path, "excludePaths": out} for path, out in lists]}})
    assert policy.includes(name) is included


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"uploadPolicy": "x"}, "uploadPolicy is no JSON object"),
        ({"uploadPolicy": {"autoUpload": "yes"}}, "autoUpload must be true or false, not 'yes'"),
        ({"uploadPolicy": {"uploadMode": "Carrier"}}, "uploadMode must be File or Archive, not 'Carrier'"),
        ({"recyclePolicy": {"lifecycle": "Lifecycle_Soon"}}, "lifecycle must be"),
        ({"recyclePolicy": {"lifecycle": 3}}, "lifecycle must be"),
        ({"recyclePolicy": {"paths": "x"}}, "paths must be an array"),
        ({"recyclePolicy": {"paths": [1]}}, "paths must be text"),
        ({"bwList": {"whiteLists": "x"}}, "whiteLists must be an array"),
        ({"bwList": {"whiteLists": [{"path": 1}]}}, "path must be text"),
        ({"bwList": {"whiteLists": [{"excludePaths": "x"}]}}, "excludePaths must be an array"),
        ({"mappingPolicy": {"path": 1}}, "path must be text"),
    ],
)
def test_what_is_no_policy_is_named(value: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(value)
    assert words in str(refused.value)
