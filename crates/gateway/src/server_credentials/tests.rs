//! Credentials kept, opened, followed, and sealed with another key.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use luthien_record::{Recorder, RecorderConfig};
use tempfile::TempDir;

use super::key_file::Changing;
use super::*;

const OLD: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222222222222222222222222222";

async fn record() -> (TempDir, Recorder) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
    (folder, recorder)
}

pub(crate) fn new(name: &str, value: &str) -> NewCredential {
    let shell = SealedCredential {
        name: name.into(),
        platform: "openai".into(),
        platform_url: None,
        credential_type: "api_key".into(),
        key_id: String::new(),
        sealed: Vec::new(),
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "ada".into(),
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "ada".into(),
    };
    NewCredential { shell, value: value.into() }
}

async fn value(store: &Store, source: &KeySource, name: &str) -> Result<String, String> {
    let all = ServerCredentials::stored(store, source.clone()).await.unwrap();
    all.find(name).map(|found| found.value.expose_secret().to_owned()).map_err(|why| why.to_string())
}

fn of_file(folder: &Path) -> KeySource {
    KeySource::new(None, folder)
}

fn lines(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join(KEY_FILE)).unwrap().lines().count()
}

#[tokio::test]
async fn a_key_file_is_made_for_the_first_credential_and_private() {
    let (folder, recorder) = record().await;
    let (store, source) = (recorder.store(), of_file(folder.path()));
    let all = ServerCredentials::stored(store, source.clone()).await.unwrap();
    assert!(!folder.path().join(KEY_FILE).exists());
    assert!(!all.keep(store, new("a", "sk-1")).await.unwrap());
    assert!(all.keep(store, new("a", "sk-2")).await.unwrap());
    let mode = std::fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(value(store, &source, "a").await.unwrap(), "sk-2");
    assert!(value(store, &source, "b").await.unwrap_err().contains("the credential `b` is not stored"));
}

#[tokio::test]
async fn with_another_key_a_credential_is_told_of_and_refused() {
    let (_folder, recorder) = record().await;
    let store = recorder.store();
    let (old, other) = (KeySource::Set(OLD.into()), KeySource::Set(NEW.into()));
    ServerCredentials::with(old.clone()).keep(store, new("a", "sk-1")).await.unwrap();
    let all = ServerCredentials::stored(store, other.clone()).await.unwrap();
    let why = all.unreadable("a").expect("a reason");
    assert!(
        why.contains("sealed with another key (fingerprint ") && why.contains("CREDENTIAL_ENCRYPTION_KEY"),
        "{why}"
    );
    assert_eq!(all.health([]), CredentialsHealth { unreadable: 1, missing: 0 });
    assert_eq!(all.health(["a", "b", "b"]), CredentialsHealth { unreadable: 1, missing: 1 });
    assert!(value(store, &other, "a").await.unwrap_err().contains("cannot be opened"));
    // What is set wrongly is said for each, and nothing else stops.
    let wrong = KeySource::Set("nonsense".into());
    assert!(value(store, &wrong, "a").await.unwrap_err().contains("64 hexadecimal digits"));
    assert!(ServerCredentials::with(wrong).keep(store, new("b", "sk")).await.is_err());
    let both = KeySource::Set(format!("{NEW},{OLD}").into());
    assert_eq!(value(store, &both, "a").await.unwrap(), "sk-1");
}

#[tokio::test]
async fn what_another_process_changes_is_followed() {
    let (folder, recorder) = record().await;
    let (store, source) = (recorder.store().clone(), of_file(folder.path()));
    let here = ServerCredentials::stored(&store, source.clone()).await.unwrap();
    let (number, seen) = watch::channel(0);
    let stop = CancellationToken::new();
    let mut following = tokio::task::JoinSet::new();
    following.spawn(here.clone().follow(seen, store.clone(), stop.clone()));
    ServerCredentials::with(source).keep(&store, new("a", "sk-1")).await.unwrap();
    assert!(here.find("a").is_err());
    number.send(1).unwrap();
    while here.find("a").is_err() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    following.join_all().await;
}

#[tokio::test]
async fn a_rotation_seals_all_with_a_new_key_and_gives_the_old_one_up() {
    let (folder, recorder) = record().await;
    let (store, source) = (recorder.store(), of_file(folder.path()));
    let all = ServerCredentials::stored(store, source.clone()).await.unwrap();
    for name in ["a", "b"] {
        all.keep(store, new(name, &format!("sk-of-{name}"))).await.unwrap();
    }
    let before = std::fs::read_to_string(folder.path().join(KEY_FILE)).unwrap();
    let rotated = rotate(store, &source).await.unwrap();
    assert_eq!((rotated.resealed, rotated.unreadable.len(), rotated.spent.len()), (2, 0, 1));
    assert_eq!(lines(folder.path()), 1);
    assert_ne!(std::fs::read_to_string(folder.path().join(KEY_FILE)).unwrap(), before);
    assert!(store.credentials().await.unwrap().0.iter().all(|one| one.key_id == rotated.key_id));
    // A gateway that runs sees the change, and reads the file again.
    all.take(store).await.unwrap();
    assert_eq!(all.find("b").unwrap().value.expose_secret(), "sk-of-b");
    all.keep(store, new("c", "sk-of-c")).await.unwrap();
    assert_eq!(value(store, &source, "c").await.unwrap(), "sk-of-c");
    let mode = std::fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_loses_nothing() {
    let (folder, recorder) = record().await;
    let (store, source) = (recorder.store(), of_file(folder.path()));
    ServerCredentials::with(source.clone()).keep(store, new("a", "sk-1")).await.unwrap();
    let path = folder.path().join(KEY_FILE);
    // Killed once the file has the new key beside the old one.
    let keys = KeyRing::with_new(&source.made().unwrap()).unwrap();
    Changing::begin(&path).unwrap().write(&keys).unwrap();
    assert_eq!((lines(folder.path()), value(store, &source, "a").await.unwrap()), (2, "sk-1".to_owned()));
    // Killed once the credentials are sealed anew.
    rotate::reseal(store, &keys).await.unwrap();
    assert_eq!((lines(folder.path()), value(store, &source, "a").await.unwrap()), (2, "sk-1".to_owned()));
    // The next one makes an end of it.
    let rotated = rotate(store, &source).await.unwrap();
    assert_eq!((rotated.resealed, rotated.spent.len(), lines(folder.path())), (1, 2, 1));
    assert_eq!(value(store, &source, "a").await.unwrap(), "sk-1");
}

#[tokio::test]
async fn one_rotation_of_a_file_at_a_time() {
    let (folder, recorder) = record().await;
    let source = of_file(folder.path());
    ServerCredentials::with(source.clone()).keep(recorder.store(), new("a", "sk-1")).await.unwrap();
    let path = folder.path().join(KEY_FILE);
    let held = Changing::begin(&path).unwrap();
    let refused = rotate(recorder.store(), &source).await.unwrap_err();
    assert!(matches!(refused, RotateError::Key(KeyError::UnderWay(_))), "{refused}");
    drop(held);
    assert_eq!(rotate(recorder.store(), &source).await.unwrap().resealed, 1);
}

#[tokio::test]
async fn keys_that_are_set_rotate_by_being_set() {
    let (_folder, recorder) = record().await;
    let store = recorder.store();
    ServerCredentials::with(KeySource::Set(OLD.into())).keep(store, new("a", "sk-1")).await.unwrap();
    let both = KeySource::Set(format!("{NEW},{OLD}").into());
    let rotated = rotate(store, &both).await.unwrap();
    assert_eq!((rotated.resealed, rotated.spent.len()), (1, 1));
    assert_eq!(rotate(store, &both).await.unwrap().resealed, 0);
    assert_eq!(value(store, &KeySource::Set(NEW.into()), "a").await.unwrap(), "sk-1");
}

#[tokio::test]
async fn a_rotation_leaves_and_names_what_no_key_opens() {
    let (_folder, recorder) = record().await;
    let store = recorder.store();
    ServerCredentials::with(KeySource::Set(OLD.into())).keep(store, new("lost", "sk-1")).await.unwrap();
    let other = KeySource::Set(NEW.into());
    ServerCredentials::with(other.clone()).keep(store, new("b", "sk-2")).await.unwrap();
    let rotated = rotate(store, &other).await.unwrap();
    assert_eq!((rotated.resealed, rotated.unreadable[0].0.as_str()), (0, "lost"));
    assert_eq!(value(store, &KeySource::Set(OLD.into()), "lost").await.unwrap(), "sk-1");
}

#[test]
fn nothing_shown_of_a_credential_holds_its_value() {
    let keys = KeyRing::parse(&OLD.into()).unwrap();
    let NewCredential { shell, value } = new("a", "sk-the-value");
    let sealed = keys.seal(shell, &value).unwrap();
    let opened = open(&Ok(Some(keys)), &sealed).unwrap();
    let shown = format!("{opened:?} {:?} {:?}", new("a", "sk-the-value"), KeySource::Set(OLD.into()));
    assert!(!shown.contains("sk-the-value") && !shown.contains("1111"), "{shown}");
}
