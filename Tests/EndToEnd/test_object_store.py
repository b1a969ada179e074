"""Closed recordings in an S3-compatible store: moved, read back, held, erased; a bucket that keeps what is deleted is not used."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from conftest import PROGRAM, World, free_port, until
from guard import guard
from test_keys import live_later
from test_restore import dump, hold, record, restore

# Creating a user, its policy, its key and the bucket: what is asked after it is checked, signature and rights.
SETUP = 4


class Store:
    """A server of moto's, on loopback, which checks signatures and rights."""

    def __init__(self, folder):
        self.port = free_port(socket.SOCK_STREAM)
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        guard.watch(folder)
        self.log = open(folder / "moto.log", "w")
        self.process = subprocess.Popen(
            [str(pathlib.Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)],
            env=dict(os.environ, INITIAL_NO_AUTH_ACTION_COUNT=str(SETUP), PLASTRON_TEST_FOLDER=str(folder)), stdout=self.log, stderr=self.log)
        until(self.answers, 30)
        free = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1", "endpoint_url": self.url}
        iam = boto3.client("iam", **free)
        iam.create_user(UserName="plastron")
        iam.put_user_policy(UserName="plastron", PolicyName="all", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
        key = iam.create_access_key(UserName="plastron")["AccessKey"]
        boto3.client("s3", **free).create_bucket(Bucket="footage")
        self.credentials = folder / "objects"
        self.credentials.write_text(f"aws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n")
        self.s3 = boto3.client(
            "s3", region_name="us-east-1", endpoint_url=self.url, aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"])

    def answers(self):
        try:
            return requests.get(self.url + "/moto-api/", timeout=2).ok
        except requests.ConnectionError:
            return False

    def keys(self, bucket="footage"):
        return sorted(o["Key"] for o in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []))

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        guard.forget(self.folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.end()


def settings(store, bucket="footage", after=0):
    return {
        "PLASTRON_OBJECTS_URL": f"{store.url}/{bucket}/node-1", "PLASTRON_OBJECTS_CREDENTIALS": str(store.credentials),
        "PLASTRON_OBJECTS_AFTER_DAYS": str(after)}


@pytest.fixture(scope="module")
def world(store):
    world = World(more=settings(store))
    yield world
    world.end()


def path_of(world, row):
    return world.sql(f"SELECT path FROM recording_part WHERE recording_id = '{row['recording']}'")


def moved(world, store, row):
    path = path_of(world, row)
    until(lambda: f"node-1/{path}" in store.keys() and not (world.data / "footage" / path).exists(), 60, 0.5)
    return path


def test_signatures_are_checked(store):
    wrong = boto3.client("s3", region_name="us-east-1", endpoint_url=store.url, aws_access_key_id="AKIAX", aws_secret_access_key="y")
    with pytest.raises(ClientError):
        wrong.list_objects_v2(Bucket="footage")
    assert store.keys() == []  # the right key is let in


def test_a_restored_dump_knows_what_was_moved_since(world, store):
    camera = world.new_camera()
    row, sent = record(world, camera)
    path = moved(world, store, row)
    world.sql(f"UPDATE recording_part SET place = 'disk', location = NULL WHERE recording_id = '{row['recording']}'")
    dumped = dump(world)
    text = dumped.read_text()
    position = world.sql("SELECT min(position) FROM journal WHERE act = 'footage.moved'")
    # As a dump would have it that was made before the move: without the entry, and what followed.
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("COPY public.journal "):
            inside = True
        elif line == "\\.":
            inside = False
        elif inside and int(line.split("\t")[0]) >= int(position):
            continue
        lines.append(line)
    dumped.write_text("\n".join(lines) + "\n")
    restore(world, dumped)
    assert world.sql(f"SELECT place FROM recording_part WHERE recording_id = '{row['recording']}'") == "object"
    assert world.export(row["recording"]) == sent


def test_a_large_master_goes_in_pieces(world, store):
    """More than one piece of 8 MiB: a multipart upload."""
    large = world.scratch / "large.ts"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4,noise=alls=100:allf=t", "-c:v",
         "libx264", "-preset", "ultrafast", "-b:v", "14M", "-g", "25", "-pix_fmt", "yuv420p", "-f", "mpegts", str(large)], check=True)
    camera = world.new_camera()
    run = world.record(camera, 8, "--from", str(large))
    run.wait()
    row = world.closed(camera, 40)
    path = moved(world, store, row)
    assert run.sent.stat().st_size > 9 << 20
    assert store.s3.head_object(Bucket="footage", Key=f"node-1/{path}")["ETag"].strip('"')[-2:] in ("-2", "-3")
    assert world.export(row["recording"]) == run.sent.read_bytes()


def configure(store, bucket, keeps):
    store.s3.create_bucket(Bucket=bucket, **({"ObjectLockEnabledForBucket": True} if keeps == "lock" else {}))
    if keeps == "versions":
        store.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if keeps == "replica":
        store.s3.create_bucket(Bucket="elsewhere")
        for name in (bucket, "elsewhere"):
            store.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        store.s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={
            "Role": "arn:aws:iam::123456789012:role/r",
            "Rules": [{"ID": "1", "Status": "Enabled", "Priority": 1, "Filter": {}, "DeleteMarkerReplication": {"Status": "Disabled"},
                       "Destination": {"Bucket": "arn:aws:s3:::elsewhere"}}]})


@pytest.mark.parametrize("keeps,why", [("nothing", "usable"), ("versions", "versioning is Enabled"), ("lock", "versioning is Enabled"), ("replica", "versioning is Enabled")])
def test_a_bucket_that_keeps_what_is_deleted_is_not_used(store, keeps, why):
    """Locks and replicas need versions, so that is what is said of them too."""
    configure(store, f"b-{keeps}", keeps)
    said = check(store, f"b-{keeps}")
    assert why in said.stdout + said.stderr and (said.returncode == 0) == (keeps == "nothing"), said


def check(store, bucket, **more):
    return subprocess.run(
        [str(PROGRAM), "archive", "--check"], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, PLASTRON_DATA_FOLDER="/nonexistent", **dict(settings(store, bucket), **more)))


def test_what_the_store_refuses_is_said(store, tmp_path):
    assert "NoSuchBucket" in check(store, "no-such-bucket").stderr
    wrong = tmp_path / "wrong"
    wrong.write_text(store.credentials.read_text().replace("aws_secret_access_key = ", "aws_secret_access_key = x"))
    said = check(store, "footage", PLASTRON_OBJECTS_CREDENTIALS=str(wrong))
    assert said.returncode == 1 and "SignatureDoesNotMatch" in said.stderr, said.stderr
    away = check(store, "footage", PLASTRON_OBJECTS_URL="http://127.0.0.1:1/footage")
    assert away.returncode == 1 and "unavailable" in away.stderr
    clear = check(store, "footage", PLASTRON_OBJECTS_URL="http://s3.example.fr/footage")
    assert clear.returncode != 0 and "https" in clear.stderr


def test_a_closed_recording_is_moved_read_held_checked_and_erased(world, store, tmp_path):
    row, sent = record(world, world.new_camera())
    path = moved(world, store, row)
    # The same bytes, sealed: nothing of the picture stands in the store.
    stored = store.s3.get_object(Bucket="footage", Key=f"node-1/{path}")["Body"].read()
    assert stored.startswith(b"PLASTRN1") and not any(needle in stored for needle in world.needles())
    assert "footage.moved" in world.acts(row["recording"])
    # Read by ranges: as sent, as MP4, and by the monthly check.
    assert world.export(row["recording"]) == sent
    assert world.export(row["recording"], "mp4")[4:8] == b"ftyp"
    world.check_is_clean()
    kept = hold(world, row["recording"], "PV 1")
    assert world.export(row["recording"]) == sent
    # One bit in the store is found, named and withheld.
    struck = bytearray(stored)
    struck[len(struck) // 2] ^= 1
    store.s3.put_object(Bucket="footage", Key=f"node-1/{path}", Body=bytes(struck))
    said = world.command("footage", "check", account="auditeur", check=False)
    assert said.returncode == 2 and row["recording"] in said.stdout
    order = {"reason": "judicial", "reference": "PV 1", "form": "ts"}
    assert world.session("chef").call("POST", f"/recordings/{row['recording']}/extraction", json=order).status_code == 409
    store.s3.put_object(Bucket="footage", Key=f"node-1/{path}", Body=stored)
    assert world.session("chef").call("POST", f"/holds/{kept}/release", json={"reason": "classée"}).status_code == 204
    # Seven months later it is gone, there too, with one certificate.
    live_later(world, tmp_path, 215)
    until(lambda: "erasure.certificate" in world.acts(row["recording"]) or world.admin("sweep", check=False) and False, 60, 1)
    until(lambda: store.keys() == [], 60, 1)
    assert world.acts(row["recording"]).count("erasure.certificate") == 1
    until(lambda: world.sql(f"SELECT state FROM recording WHERE id = '{row['recording']}'") == "erased", 20)
