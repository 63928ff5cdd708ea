//! The services of the fake world: under which address each is found, which names it has in the control interface, and
//! who answers for it. A new one is one line.

use crate::reply::{Call, Reply};
use crate::server::World;
use crate::upstream::tilda::{self, AGENCIES};
use crate::{altinn, plugin, register, upstream};

/// How a service answers a call at a time (milliseconds since the epoch).
type Answer = fn(&World, &Call, i64) -> Reply;

/// Who answers.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// The identity provider, which signs on a thread of its own.
    Issuer,
    /// What answers at once.
    Plain(Answer),
}

/// A service that can be made to fail and whose calls are counted.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    /// Its name in the control interface.
    pub(crate) name: &'static str,
    pub(crate) handler: Handler,
}

/// First segment of the address, name in the control interface, and who answers.
const PLAIN: [(&str, &str, Answer); 10] = [
    ("enhetsregisteret", "register", |world, call, now_ms| {
        register::answer(call, &world.base, now_ms)
    }),
    ("altinn", "altinn", |world, call, now_ms| {
        altinn::answer(call, &world.issuer, now_ms)
    }),
    ("testdata", "testdata", |_, call, _| {
        upstream::testdata::answer(call)
    }),
    ("skatt", "skatt", |_, call, _| upstream::skatt::answer(call)),
    ("skatt_person", "skatt_person", |world, call, now_ms| {
        upstream::skatt_person::answer(call, &world.issuer, now_ms)
    }),
    ("freg", "freg", |world, call, now_ms| {
        upstream::freg::answer(call, &world.issuer, now_ms)
    }),
    ("produkter", "produkter", |_, call, _| {
        upstream::products::answer(call)
    }),
    ("arbeidstilsynet", "arbeidstilsynet", |_, call, _| {
        upstream::labour::answer(call)
    }),
    ("vegvesen", "vegvesen", |_, call, _| {
        upstream::roads::answer(call)
    }),
    ("plugin", "sandbox-plugin", |_, call, now_ms| {
        plugin::answer(call, now_ms)
    }),
];

/// The identity provider.
const ISSUER: Service = Service {
    name: "issuer",
    handler: Handler::Issuer,
};

/// The register goes by two names: as authority and as source.
const ALIASES: [(&str, &str); 1] = [("er", "register")];

impl Service {
    /// Names of the services, each once.
    pub(crate) fn all() -> impl Iterator<Item = &'static str> {
        let plain = PLAIN.iter().map(|(_, name, _)| *name);
        let agencies = AGENCIES.iter().map(|agency| agency.source);
        std::iter::once(ISSUER.name).chain(plain).chain(agencies)
    }

    /// Every name of the control interface.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::all().chain(ALIASES.iter().map(|(alias, _)| *alias))
    }

    /// The name itself, where it is another name of something.
    pub(crate) fn canonical(name: &str) -> &str {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        alias.map_or(name, |(_, name)| name)
    }

    /// The service an address belongs to; the token generator and the control interface belong to none.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/.well-known/oauth-authorization-server" | "/jwk" | "/token" => return Some(ISSUER),
            _ => {}
        }
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        if first == tilda::FOLDER {
            let agency = tilda::agency(rest.split('/').next()?)?;
            return Some(Self {
                name: agency.source,
                handler: Handler::Plain(|world, call, now_ms| {
                    tilda::answer(call, &world.issuer, now_ms)
                }),
            });
        }
        let (_, name, answer) = PLAIN.iter().find(|(place, ..)| *place == first)?;
        Some(Self {
            name,
            handler: Handler::Plain(*answer),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_service_has_its_addresses_and_the_generator_has_none() {
        for (path, name) in [
            ("/.well-known/oauth-authorization-server", Some("issuer")),
            ("/jwk", Some("issuer")),
            ("/token", Some("issuer")),
            ("/api/GetEnterpriseToken", None),
            ("/control/faults/issuer", None),
            ("/enhetsregisteret/api/enheter/1", Some("register")),
            ("/altinn/x", Some("altinn")),
            ("/testdata/dokumenter/1", Some("testdata")),
            ("/skatt/v2/ebevis/1", Some("skatt")),
            ("/plugin/api/evidencecodes", Some("sandbox-plugin")),
            ("/tilda/brann/1", Some("tilda-brann")),
            ("/tilda/ingen/1", None),
            ("/tilda/brann", Some("tilda-brann")),
            ("/skatt", None),
            ("/", None),
            ("*", None),
        ] {
            let found = Service::of_path(path).map(|service| service.name);
            assert_eq!(found, name, "{path}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let names: BTreeSet<&str> = Service::names().collect();
        assert_eq!(names.len(), Service::names().count());
        assert_eq!(Service::canonical("er"), "register");
        assert_eq!(Service::canonical("skatt"), "skatt");
    }
}
