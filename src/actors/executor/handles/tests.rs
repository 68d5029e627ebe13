use tokio::task::LocalSet;

use super::*;

const LIFETIME: Duration = Duration::from_secs(60);

/// An entry that records when it is closed, and when it is dropped without being closed.
struct Scripted {
    name: &'static str,
    handles_max: usize,
    notes: Notes,
    is_closed: bool,
}

#[derive(Clone, Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn scripted(&self, name: &'static str) -> Scripted {
        Scripted { name, handles_max: usize::MAX, notes: self.clone(), is_closed: false }
    }

    /// What was recorded since the last look.
    fn since(&self) -> Vec<String> {
        self.0.take()
    }
}

impl Held for Scripted {
    const NAME: &'static str = "thing";

    fn lifetime(&self) -> Duration {
        LIFETIME
    }

    fn handles_max(&self) -> usize {
        self.handles_max
    }

    fn close(mut self) {
        self.is_closed = true;
        self.notes.0.borrow_mut().push(format!("{} closed", self.name));
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if !self.is_closed {
            self.notes.0.borrow_mut().push(format!("{} dropped", self.name));
        }
    }
}

struct World {
    handles: Handles<Scripted>,
    notes: Notes,
    owner: Principal,
}

impl World {
    fn put(&self, name: &'static str) -> String {
        self.handles.put(self.owner.clone(), self.notes.scripted(name)).unwrap().handle
    }

    fn take(&self, handle: &str) -> Result<Taken<Scripted>, Unusable> {
        self.handles.take(handle, &self.owner)
    }

    fn why_unusable(&self, handle: &str) -> Unusable {
        self.take(handle).err().unwrap()
    }
}

/// Runs a test with a table of at most `handles_max` handles.
async fn with<F: Future<Output = ()>>(handles_max: usize, test: impl FnOnce(World) -> F) {
    let log = Logger::root(slog::Discard, slog::o!());
    let handles = Handles::new("db:".to_owned(), handles_max, &log);
    LocalSet::new().run_until(test(World { handles, notes: Notes::default(), owner: Some("owner".into()) })).await;
}

#[tokio::test(start_paused = true)]
async fn only_its_owner_can_use_a_handle() {
    with(2, async |world| {
        let handle = world.put("a");
        assert!(handle.starts_with("db:") && handle.len() == "db:".len() + 32, "{handle}");
        assert_eq!(world.handles.take(&handle, &Some("another".into())).err(), Some(Unusable::Unknown));
        assert_eq!(world.take(&handle).unwrap().held.name, "a");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_nobody_by_name_is_used_by_whoever_has_the_handle_and_goes_with_no_client() {
    with(2, async |world| {
        let nobodys = world.handles.put(None, world.notes.scripted("nobody's")).unwrap().handle;
        assert_eq!(world.why_unusable(&nobodys), Unusable::Unknown, "of one with a name");
        world.handles.close_owned_by("owner");
        assert!(world.notes.since().is_empty());
        assert!(world.handles.take(&nobodys, &None).unwrap().keep().is_some());
        let owned = world.put("owned");
        assert_eq!(world.handles.take(&owned, &None).err(), Some(Unusable::Unknown));
        tokio::time::sleep(LIFETIME + Duration::from_millis(1)).await;
        assert_eq!(world.handles.take(&nobodys, &None).err(), Some(Unusable::Ended(Ended::Expired(LIFETIME))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_expires_when_its_lifetime_has_passed_since_its_last_use() {
    with(2, async |world| {
        let handle = world.put("a");
        for _ in 0..3 {
            tokio::time::sleep(LIFETIME * 3 / 4).await;
            let kept = world.take(&handle).unwrap().keep();
            assert_eq!(kept, Some(Kept { handle: handle.clone(), lifetime: LIFETIME }));
        }
        assert!(world.notes.since().is_empty());
        let taken = world.take(&handle).unwrap();
        // It does not expire while it is in use.
        tokio::time::sleep(LIFETIME * 2).await;
        assert!(taken.keep().is_some());
        tokio::time::sleep(LIFETIME + Duration::from_millis(1)).await;
        assert_eq!(world.notes.since(), ["a closed"]);
        assert_eq!(world.why_unusable(&handle), Unusable::Ended(Ended::Expired(LIFETIME)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_handle_displaces_the_longest_unused_one() {
    with(2, async |world| {
        let (first, second) = (world.put("first"), world.put("second"));
        world.take(&first).unwrap().keep().unwrap();
        world.put("third");
        assert_eq!(world.notes.since(), ["second closed"]);
        assert_eq!(world.why_unusable(&second), Unusable::Ended(Ended::Displaced));
        assert!(world.take(&first).is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_in_use_is_not_displaced() {
    with(1, async |world| {
        let first = world.put("first");
        let taken = world.take(&first).unwrap();
        assert_eq!(world.why_unusable(&first), Unusable::InUse);
        assert_eq!(world.handles.put(world.owner.clone(), world.notes.scripted("second")), None);
        assert_eq!(world.notes.since(), ["second closed"]);
        taken.keep().unwrap();
        world.put("third");
        assert_eq!(world.notes.since(), ["first closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_can_lower_the_maximum() {
    with(5, async |world| {
        world.put("first");
        let mut second = world.notes.scripted("second");
        second.handles_max = 1;
        assert!(world.handles.put(world.owner.clone(), second).is_some());
        assert_eq!(world.notes.since(), ["first closed"]);
        let mut third = world.notes.scripted("third");
        third.handles_max = 0;
        assert_eq!(world.handles.put(world.owner.clone(), third), None);
        assert_eq!(world.notes.since(), ["second closed", "third closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_smaller_maximum_applies_from_the_next_handle_on() {
    with(3, async |world| {
        let handles = [world.put("first"), world.put("second"), world.put("third")];
        world.handles.set_max(2);
        assert!(world.notes.since().is_empty());
        world.take(&handles[2]).unwrap().keep().unwrap();
        assert_eq!(world.notes.since(), ["first closed"]);
        world.handles.set_max(0);
        assert_eq!(world.take(&handles[2]).unwrap().keep(), None);
        assert_eq!(world.notes.since(), ["second closed", "third closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_handles_of_a_disconnected_client_are_closed_and_no_others() {
    with(3, async |world| {
        let (first, second) = (world.put("first"), world.put("second"));
        let other = Some("another".into());
        let others = world.handles.put(other.clone(), world.notes.scripted("other's")).unwrap().handle;
        let taken = world.take(&second).unwrap();
        world.handles.close_owned_by("owner");
        assert_eq!(world.notes.since(), ["first closed"]);
        assert_eq!(world.why_unusable(&first), Unusable::Unknown);
        assert!(world.handles.take(&others, &other).is_ok());
        drop(taken);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_all_were_closed_no_new_handle_is_allowed() {
    with(3, async |world| {
        let (first, second) = (world.put("first"), world.put("second"));
        let taken = world.take(&second).unwrap();
        world.handles.close_all();
        assert_eq!(world.notes.since(), ["first closed"]);
        assert_eq!(world.why_unusable(&first), Unusable::Unknown);
        assert_eq!(taken.keep(), None);
        assert_eq!(world.handles.put(world.owner.clone(), world.notes.scripted("third")), None);
        assert_eq!(world.notes.since(), ["second closed", "third closed"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_an_end_is_remembered_for_a_while() {
    with(2, async |world| {
        for ended in [Ended::Finished, Ended::Failed] {
            let handle = world.put("a");
            // The caller must close what the handle held.
            world.take(&handle).unwrap().end(ended).close();
            assert_eq!(world.notes.since(), ["a closed"]);
            assert_eq!(world.why_unusable(&handle), Unusable::Ended(ended));
        }
        let dropped = world.put("b");
        drop(world.take(&dropped).unwrap());
        assert_eq!(world.notes.since(), ["b dropped"]);
        for at in 0..ENDED_MAX {
            let why = world.why_unusable(&dropped);
            assert_eq!(why, Unusable::Ended(Ended::Dropped), "after {at} others");
            let handle = world.put("c");
            drop(world.take(&handle).unwrap());
        }
        assert_eq!(world.why_unusable(&dropped), Unusable::Unknown);
    })
    .await;
}
