//! The plan of a run: the room of each client, its arrival and departure, and
//! the outages of its link. It follows from the scenario and its seed
//! alone, so that it is the same in every run and in every shard.

mod identity;
mod ids;
mod replicas;

use std::ops::Range;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::scenario::{LinkClass, LinkFault, LinkFaultKind, Scenario};
use crate::time::clock::Nanos;

pub use identity::Identity;
pub use ids::{ClientId, RoomIndex};
pub use replicas::excessive_imports;

/// The rooms and clients of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The rooms, by their number.
    pub rooms: Vec<RoomPlan>,
    /// The clients, by their number: the initial ones first.
    pub clients: Vec<ClientPlan>,
}

/// The plan of one room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomPlan {
    /// The index of its size among the scenario's room classes.
    pub class: usize,
    /// Its clients, ascending: the initial ones and all that arrive later.
    pub clients: Vec<ClientId>,
}

/// The plan of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPlan {
    /// The client's room.
    pub room: RoomIndex,
    /// `true` if the client edits.
    pub writes: bool,
    /// `true` if its replica is a document, `false` if it is only a version.
    pub full: bool,
    /// `true` if it is only a version, and what it sends and receives is compared
    /// as a document after the run.
    pub verified: bool,
    /// The index of its link among the scenario's, if it has one.
    pub link: Option<usize>,
    /// The time of its arrival; `None` for an initial client.
    pub joins: Option<Nanos>,
    /// The time at which it leaves for good, if it does.
    pub leaves: Option<Nanos>,
    /// The outages of its link: ascending, not overlapping.
    pub outages: Vec<Outage>,
}

/// A period in which a client's link has a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The kind of fault.
    pub kind: LinkFaultKind,
    /// The start of the outage.
    pub from: Nanos,
    /// The end: the client may come back from then on.
    pub until: Nanos,
}

impl ClientPlan {
    /// The period in which the client takes part, in a run that ends at `end`.
    pub fn stay(&self, end: Nanos) -> Range<Nanos> {
        self.joins.unwrap_or(0)..self.leaves.unwrap_or(end)
    }
}

impl Plan {
    /// Makes the plan of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let mut population = Population::new(scenario);
        for change in changes(scenario) {
            population.apply(change);
        }
        let mut plan = population.plan;
        for (client_id, client) in (0..).map(ClientId).zip(&mut plan.clients) {
            client.link = link_of(&scenario.links, client_id);
            let end = scenario.duration.as_nanos() as Nanos;
            if let Some(link) = client.link {
                let faults = &scenario.links[link].faults;
                client.outages = outages(faults, client.stay(end), end, scenario.seed, client_id);
            }
            plan.rooms[client.room.0 as usize].clients.push(client_id);
        }
        replicas::assign(&mut plan, scenario);
        plan
    }

    /// The plan of one client.
    pub fn client(&self, client: ClientId) -> &ClientPlan {
        &self.clients[client.0 as usize]
    }

    /// The plan of one room.
    pub fn room(&self, room: RoomIndex) -> &RoomPlan {
        &self.rooms[room.0 as usize]
    }

    /// The number of clients that keep full replicas.
    pub fn full_replicas(&self) -> usize {
        self.clients.iter().filter(|client| client.full).count()
    }

    /// The number of initial clients.
    pub fn initial_clients(&self) -> usize {
        let initial = self.clients.iter().filter(|client| client.joins.is_none());
        initial.count()
    }
}

/// A change of the population at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    at: Nanos,
    what: PopulationChange,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum PopulationChange {
    /// One more client arrives, the N-th of the late ones.
    Late(u32),
    /// The client that arrived last leaves.
    Fewer,
    /// One more client arrives, to a free place.
    More,
    /// A client leaves and another one takes its place: the client at this share
    /// of the way through all that are present.
    Replaced(f64),
}

/// All arrivals and departures, ascending by time.
fn changes(scenario: &Scenario) -> Vec<Change> {
    let end = scenario.duration.as_nanos() as Nanos;
    let late = (0..scenario.clients.late).map(|number| Change {
        at: end / u64::from(scenario.clients.late + 1) * u64::from(number + 1),
        what: PopulationChange::Late(number),
    });
    let mut changes: Vec<Change> = late.collect();
    changes.extend(replacements(scenario, end));
    changes.extend(steps(scenario));
    changes.sort_by_key(|change| change.at);
    changes
}

fn replacements(scenario: &Scenario, end: Nanos) -> Vec<Change> {
    let rate = scenario.churn.per_second;
    if rate <= 0.0 {
        return Vec::new();
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(scenario.seed ^ 0xC0FF_EE00);
    let mut at = 0.0;
    let mut found = Vec::new();
    loop {
        let uniform: f64 = rng.random();
        at -= (1.0 - uniform).ln() / rate * 1e9;
        if at >= end as f64 {
            return found;
        }
        found.push(Change {
            at: at as Nanos,
            what: PopulationChange::Replaced(rng.random()),
        });
    }
}

/// The arrivals and departures that let the number of clients follow the stages.
fn steps(scenario: &Scenario) -> Vec<Change> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut present = initial(scenario);
    for stage in &scenario.stages {
        let lasts = stage.duration.as_nanos() as Nanos;
        let target = stage.clients.unwrap_or(present);
        let number = target.abs_diff(present);
        let what = match target > present {
            true => PopulationChange::More,
            false => PopulationChange::Fewer,
        };
        found.extend((0..number).map(|step| Change {
            // The last of them at the end of the stage.
            at: start + lasts * u64::from(step + 1) / u64::from(number),
            what,
        }));
        present = target;
        start += lasts;
    }
    found
}

/// The number of initial clients: that of the first stage, if it gives one.
fn initial(scenario: &Scenario) -> u32 {
    let first = scenario.stages.first().and_then(|stage| stage.clients);
    first.unwrap_or(scenario.clients.count)
}

/// Builds the plan, one arrival or departure after the other.
struct Population {
    plan: Plan,
    /// The rooms of all places, in the order in which they are taken: one in each
    /// room, then a second one, and so on.
    places: Vec<RoomIndex>,
    /// The clients that are present, in the order of their arrival.
    present: Vec<ClientId>,
    writers: u32,
    everyone_writes: bool,
}

impl Population {
    fn new(scenario: &Scenario) -> Self {
        let sizes: Vec<(usize, u32)> = scenario
            .rooms
            .iter()
            .enumerate()
            .flat_map(|(class, rooms)| (0..rooms.count).map(move |_| (class, rooms.size)))
            .collect();
        let rooms = sizes.iter().map(|&(class, _)| RoomPlan {
            class,
            clients: Vec::new(),
        });
        let mut population = Self {
            plan: Plan {
                rooms: rooms.collect(),
                clients: Vec::new(),
            },
            places: places(&sizes),
            present: Vec::new(),
            writers: scenario.clients.writer_count(),
            everyone_writes: scenario.clients.writer_count() == scenario.clients.count,
        };
        for _ in 0..initial(scenario) {
            population.take_place(None);
        }
        population
    }

    fn apply(&mut self, Change { at, what }: Change) {
        match what {
            PopulationChange::Late(number) => {
                let rooms = self.plan.rooms.len() as u32;
                let writes = self.everyone_writes;
                self.arrive(RoomIndex(number % rooms), writes, Some(at));
            }
            PopulationChange::More => self.take_place(Some(at)),
            PopulationChange::Fewer => {
                if let Some(last) = self.present.pop() {
                    self.plan.clients[last.0 as usize].leaves = Some(at);
                }
            }
            PopulationChange::Replaced(share) => self.replace(share, at),
        }
    }

    /// A client arrives at the first free place.
    fn take_place(&mut self, at: Option<Nanos>) {
        let taken = self.present.len();
        let room = self.places[taken % self.places.len()];
        let writes = (taken as u32) < self.writers;
        self.arrive(room, writes, at);
    }

    fn replace(&mut self, share: f64, at: Nanos) {
        if self.present.is_empty() {
            return;
        }
        let index = (share * self.present.len() as f64) as usize % self.present.len();
        let leaving = &mut self.plan.clients[self.present[index].0 as usize];
        leaving.leaves = Some(at);
        let (room, writes) = (leaving.room, leaving.writes);
        self.arrive(room, writes, Some(at));
        // The new one has the old one's place, and so its turn to leave.
        self.present.swap_remove(index);
    }

    fn arrive(&mut self, room: RoomIndex, writes: bool, joins: Option<Nanos>) {
        self.present.push(ClientId(self.plan.clients.len() as u32));
        self.plan.clients.push(ClientPlan {
            room,
            writes,
            full: true,
            verified: false,
            link: None,
            joins,
            leaves: None,
            outages: Vec::new(),
        });
    }
}

/// Lists the places: one in each room that has one left, again and again.
fn places(sizes: &[(usize, u32)]) -> Vec<RoomIndex> {
    let largest = sizes.iter().map(|&(_, size)| size).max().unwrap_or(0);
    (0..largest)
        .flat_map(|round| {
            let rooms = (0..).map(RoomIndex).zip(sizes);
            rooms.filter_map(move |(room, &(_, size))| (round < size).then_some(room))
        })
        .collect()
}

/// The link of a client. The shares hold evenly, also among few clients.
fn link_of(links: &[LinkClass], client: ClientId) -> Option<usize> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let place = (f64::from(client.0) * GOLDEN).fract();
    let mut upto = 0.0;
    links.iter().position(|link| {
        upto += link.share;
        place < upto
    })
}

/// The outages of one client, from the faults of its link.
fn outages(
    faults: &[LinkFault],
    stay: Range<Nanos>,
    end: Nanos,
    seed: u64,
    client: ClientId,
) -> Vec<Outage> {
    let mut rng = client_rng(seed ^ 0xFA17, client);
    let mut found: Vec<Outage> = Vec::new();
    for fault in faults {
        let lasting = fault.lasting.as_nanos() as Nanos;
        let outage = |from: Nanos| Outage {
            kind: fault.kind,
            from,
            until: (from + lasting).min(end),
        };
        found.extend(fault.at.map(|at| outage(at.as_nanos() as Nanos)));
        if let Some(every) = fault.every {
            let every = every.as_nanos() as Nanos;
            let first = rng.random_range(0..every);
            found.extend(
                (0..)
                    .map(|n| first + n * every)
                    .take_while(|&at| at < end)
                    .map(outage),
            );
        }
    }
    found.retain(|outage| stay.start < outage.from && outage.until <= stay.end);
    found.sort_by_key(|outage| outage.from);
    // A client that is away already cannot be cut off.
    let mut free_from = 0;
    found.retain(|outage| {
        let free = outage.from > free_from;
        if free {
            free_from = outage.until;
        }
        free
    });
    found
}

/// Returns the random numbers of one client. The algorithm is a named one, so
/// that a seed means the same on every machine and in every version.
pub fn client_rng(seed: u64, client: ClientId) -> Xoshiro256PlusPlus {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    Xoshiro256PlusPlus::seed_from_u64(seed ^ GOLDEN.wrapping_mul(u64::from(client.0) + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::{Churn, Clients, RoomClass, Stage};

    fn scenario(rooms: &[(u32, u32)]) -> Scenario {
        let rooms = rooms.iter().map(|&(count, size)| RoomClass { count, size });
        let rooms: Vec<RoomClass> = rooms.collect();
        let clients = rooms.iter().map(|class| class.count * class.size).sum();
        Scenario {
            rooms,
            clients: Clients::new(clients),
            ..Scenario::default()
        }
    }

    #[test]
    fn rooms_have_the_given_sizes_and_every_client_one_room() {
        let plan = Plan::new(&scenario(&[(3, 2), (1, 10)]));
        let sizes: Vec<_> = plan.rooms.iter().map(|room| room.clients.len()).collect();
        assert_eq!(sizes, [2, 2, 2, 10]);
        let mut clients: Vec<ClientId> =
            plan.rooms.iter().flat_map(|r| r.clients.clone()).collect();
        clients.sort_unstable();
        assert_eq!(clients, (0..16).map(ClientId).collect::<Vec<_>>());
        assert_eq!(plan.rooms[0].clients, [ClientId(0), ClientId(4)]);
    }

    #[test]
    fn a_client_that_leaves_is_replaced_in_the_same_room_at_the_same_time() {
        let scenario = Scenario {
            churn: Churn { per_second: 5.0 },
            ..scenario(&[(4, 5)])
        };
        let plan = Plan::new(&scenario);
        let left: Vec<_> = plan.clients.iter().filter(|c| c.leaves.is_some()).collect();
        assert!((20..90).contains(&left.len()), "{}", left.len());
        assert_eq!(plan.clients.len(), 20 + left.len());
        for gone in left {
            let successor = plan.clients.iter().find(|c| c.joins == gone.leaves);
            assert_eq!(successor.map(|c| c.room), Some(gone.room));
        }
        assert_eq!(plan, Plan::new(&scenario), "the same seed, the same plan");
    }

    #[test]
    fn the_number_of_clients_follows_the_stages() {
        let stage = |clients| Stage {
            name: String::new(),
            duration: Duration::from_secs(10),
            rate: Some(10.0),
            ramp: false,
            clients: Some(clients),
        };
        let scenario = Scenario {
            duration: Duration::from_secs(30),
            stages: vec![stage(5), stage(20), stage(10)],
            ..scenario(&[(4, 5)])
        };
        let plan = Plan::new(&scenario);
        let present = |seconds: u64| {
            let at = seconds * 1_000_000_000;
            let end = 30_000_000_000;
            plan.clients
                .iter()
                .filter(|c| c.stay(end).contains(&at))
                .count()
        };
        assert_eq!(plan.initial_clients(), 5);
        assert_eq!(
            [present(1), present(9), present(20), present(29)],
            [5, 5, 20, 11]
        );
    }

    #[test]
    fn outages_lie_within_the_stay_and_do_not_overlap() {
        let fault = |kind, every, lasting| LinkFault {
            kind,
            at: None,
            every: Some(Duration::from_millis(every)),
            lasting: Duration::from_millis(lasting),
        };
        let scenario = Scenario {
            links: vec![LinkClass {
                name: "train".to_owned(),
                share: 0.5,
                faults: vec![
                    fault(LinkFaultKind::Cut, 900, 300),
                    fault(LinkFaultKind::Offline, 2_000, 1_000),
                ],
                ..LinkClass::default()
            }],
            churn: Churn { per_second: 2.0 },
            ..scenario(&[(4, 5)])
        };
        let plan = Plan::new(&scenario);
        let with_link = plan.clients[..20]
            .iter()
            .filter(|c| c.link.is_some())
            .count();
        assert_eq!(with_link, 10);
        let mut outages = 0;
        for client in &plan.clients {
            let stay = client.stay(10_000_000_000);
            for outage in &client.outages {
                assert!(stay.start < outage.from && outage.until <= stay.end);
            }
            assert!(
                client
                    .outages
                    .windows(2)
                    .all(|two| two[0].until < two[1].from)
            );
            outages += client.outages.len();
        }
        assert!(outages > 30, "{outages}");
    }
}
