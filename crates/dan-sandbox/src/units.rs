//! The table of units. Every name, address and date is invented.

use crate::people::{Address, Code, Holder, Role, Unit};

const STATE_BODY: Code = ("ORGL", "Organisasjonsledd");
const MUNICIPALITY: Code = ("KOMM", "Kommune");
const SOLE_PROPRIETOR: Code = ("ENK", "Enkeltpersonforetak");
const SUB_UNIT: Code = (
    "BEDR",
    "Underenhet til næringsdrivende og offentlig forvaltning",
);

const STATE: Code = ("6100", "Statsforvaltningen");
const LOCAL_GOVERNMENT: Code = ("6500", "Kommuneforvaltningen");
const PRIVATE_COMPANY: Code = ("2100", "Private aksjeselskaper mv.");
const PERSONAL_BUSINESS: Code = ("8200", "Personlig næringsdrivende");

const ADMINISTRATION: Code = ("84.110", "Generell offentlig administrasjon");
const CARPENTRY: Code = ("43.320", "Snekkerarbeid");
const BUILDING: Code = ("41.200", "Oppføring av bygninger");
const PROGRAMMING: Code = ("62.010", "Programmeringstjenester");
const REPAIR: Code = (
    "45.200",
    "Vedlikehold og reparasjon av motorvogner, unntatt motorsykler",
);

const OSLO: Code = ("0301", "OSLO");
const BERGEN: Code = ("4601", "BERGEN");
const TRONDHEIM: Code = ("5001", "TRONDHEIM");
const BRONNOY: Code = ("1813", "BRØNNØY");

const MANAGEMENT: Code = ("DAGL", "Daglig leder");
const BOARD: Code = ("STYR", "Styre");
const CHAIR: Code = ("LEDE", "Styrets leder");
const MEMBER: Code = ("MEDL", "Styremedlem");
const AUDIT: Code = ("REVI", "Revisor");
const OWNER: Code = ("INNH", "Innehaver");
const TRUSTEE: Code = ("BOBE", "Bostyrer");

const fn role(group: Code, kind: Code, holder: Holder) -> Role {
    Role {
        group,
        kind,
        holder,
    }
}

const fn address(lines: &'static [&'static str], post: Code, municipality: Code) -> Address {
    Address {
        lines,
        post,
        municipality,
    }
}

/// Every unit of the register, main and sub, deleted or not.
pub(crate) static UNITS: [Unit; 13] = [
    Unit {
        number: "991825827",
        name: "FLITTIG KLOK HUBRO DIREKTORAT",
        form: STATE_BODY,
        registered: "2007-10-15",
        founded: Some("2008-01-01"),
        industries: &[ADMINISTRATION, PROGRAMMING],
        sector: Some(STATE),
        employees: 412,
        business_address: Some(address(&["Syntetgata 12"], ("0153", "OSLO"), OSLO)),
        postal_address: Some(address(&["Postboks 9001"], ("0031", "OSLO"), OSLO)),
        home_page: Some("www.hubro.example"),
        email: Some("post@hubro.example"),
        activity: &["Samordne og utvikle digitale fellesløsninger for forvaltningen."],
        pays_vat: true,
        roles: &[role(
            MANAGEMENT,
            MANAGEMENT,
            Holder::Person("Kløktig", "Hubro", "1968-11-02"),
        )],
        ..Unit::PLAIN
    },
    Unit {
        number: "958935420",
        name: "VENNLIG VIDSTRAKT KOMMUNE",
        form: MUNICIPALITY,
        registered: "1995-02-20",
        industries: &[ADMINISTRATION],
        sector: Some(LOCAL_GOVERNMENT),
        employees: 20_418,
        business_address: Some(address(&["Rådhusplassen 1"], ("0037", "OSLO"), OSLO)),
        postal_address: Some(address(&["Rådhuset"], ("0037", "OSLO"), OSLO)),
        home_page: Some("www.vidstrakt.example"),
        email: Some("postmottak@vidstrakt.example"),
        pays_vat: true,
        roles: &[role(
            MANAGEMENT,
            MANAGEMENT,
            Holder::Person("Vennlig", "Gaupe", "1971-04-19"),
        )],
        ..Unit::PLAIN
    },
    Unit {
        number: "974760673",
        name: "NØYAKTIG TÅLMODIG ELG REGISTERVERK",
        form: STATE_BODY,
        registered: "1995-08-09",
        founded: Some("1988-01-01"),
        industries: &[ADMINISTRATION],
        sector: Some(STATE),
        employees: 480,
        business_address: Some(address(&["Havnegata 48"], ("8900", "BRØNNØYSUND"), BRONNOY)),
        postal_address: Some(address(&["Postboks 900"], ("8910", "BRØNNØYSUND"), BRONNOY)),
        home_page: Some("www.elg.example"),
        email: Some("firmapost@elg.example"),
        activity: &["Føre registre som gjør det trygt å handle."],
        ..Unit::PLAIN
    },
    Unit {
        number: "992037601",
        name: "HJELPSOM RASK ISBJØRN AS",
        registered: "2008-01-24",
        founded: Some("2007-12-18"),
        industries: &[REPAIR, CARPENTRY, PROGRAMMING],
        sector: Some(PRIVATE_COMPANY),
        employees: 27,
        business_address: Some(address(
            &["Isbjørnveien 4", "3. etasje"],
            ("5003", "BERGEN"),
            BERGEN,
        )),
        postal_address: Some(address(
            &["Postboks 77 Sentrum"],
            ("5803", "BERGEN"),
            BERGEN,
        )),
        home_page: Some("www.isbjorn.example"),
        email: Some("post@isbjorn.example"),
        activity: &["Verksted for kjøretøy.", "Utleie av verksted."],
        accounts: Some("2025"),
        pays_vat: true,
        in_business_register: true,
        non_profit_since: Some("2011-05-30"),
        roles: &[
            role(
                MANAGEMENT,
                MANAGEMENT,
                Holder::Person("Rask", "Isbjørn", "1975-06-14"),
            ),
            role(
                BOARD,
                CHAIR,
                Holder::Person("Åse Øverås", "Ærlig", "1959-12-31"),
            ),
            role(
                BOARD,
                MEMBER,
                Holder::Person("Munter", "Oter", "1988-02-29"),
            ),
            role(AUDIT, AUDIT, Holder::Unit("902201076")),
        ],
        ..Unit::PLAIN
    },
    Unit {
        number: "998997801",
        name: "STERK STØDIG BJØRN BYGG OG ANLEGG AS",
        registered: "2012-11-08",
        founded: Some("2012-10-01"),
        industries: &[BUILDING, CARPENTRY],
        sector: Some(PRIVATE_COMPANY),
        employees: 12,
        business_address: Some(address(&["Bjørnsti 9"], ("7030", "TRONDHEIM"), TRONDHEIM)),
        postal_address: Some(address(&["Postboks 5"], ("7401", "TRONDHEIM"), TRONDHEIM)),
        home_page: Some("www.bjorn.example"),
        email: Some("post@bjorn.example"),
        activity: &["Oppføring og vedlikehold av bygg."],
        accounts: Some("2024"),
        pays_vat: true,
        in_business_register: true,
        roles: &[
            role(
                MANAGEMENT,
                MANAGEMENT,
                Holder::Person("Sterk", "Bjørn", "1980-08-08"),
            ),
            role(
                BOARD,
                CHAIR,
                Holder::Person("Stødig", "Bjørn", "1955-01-17"),
            ),
        ],
        ..Unit::PLAIN
    },
    Unit {
        number: "901101078",
        name: "BORTREIST STILLE MÅKE AS",
        deleted: Some("2021-06-30"),
        ..Unit::PLAIN
    },
    Unit {
        number: "902201076",
        name: "SINDIG RUND TIGER AS",
        founded: Some("2009-02-02"),
        industries: &[PROGRAMMING],
        sector: Some(PRIVATE_COMPANY),
        employees: 64,
        business_address: Some(address(&["Tigerveien 2"], ("0150", "OSLO"), OSLO)),
        accounts: Some("2025"),
        pays_vat: true,
        in_business_register: true,
        ..Unit::PLAIN
    },
    Unit {
        number: "903301007",
        name: "SINDIG RUND TIGER AS AVD OSLO",
        employees: 40,
        business_address: Some(address(&["Tigerveien 2"], ("0150", "OSLO"), OSLO)),
        ..SUB_UNIT_OF_TIGER
    },
    Unit {
        number: "903301074",
        name: "SINDIG RUND TIGER AS AVD BERGEN",
        employees: 16,
        business_address: Some(address(&["Striper 3"], ("5003", "BERGEN"), BERGEN)),
        ..SUB_UNIT_OF_TIGER
    },
    Unit {
        number: "903301287",
        name: "SINDIG RUND TIGER AS AVD TRONDHEIM",
        employees: 8,
        business_address: Some(address(&["Klogata 1"], ("7030", "TRONDHEIM"), TRONDHEIM)),
        ..SUB_UNIT_OF_TIGER
    },
    Unit {
        number: "904401005",
        name: "UHELDIG TOM KASSE AS",
        founded: Some("2015-04-01"),
        bankrupt: Some("2025-09-18"),
        industries: &[CARPENTRY],
        sector: Some(PRIVATE_COMPANY),
        business_address: Some(address(&["Tomgata 0"], ("0150", "OSLO"), OSLO)),
        accounts: Some("2023"),
        pays_vat: true,
        in_business_register: true,
        roles: &[role(
            TRUSTEE,
            TRUSTEE,
            Holder::Person("Ryddig", "Rev", "1970-10-10"),
        )],
        ..Unit::PLAIN
    },
    Unit {
        number: "905501003",
        name: "SYNTETISK PERSON SNEKKER",
        form: SOLE_PROPRIETOR,
        registered: "2016-02-11",
        industries: &[CARPENTRY],
        sector: Some(PERSONAL_BUSINESS),
        business_address: Some(address(&["Høvelbenken 7"], ("0150", "OSLO"), OSLO)),
        pays_vat: true,
        roles: &[role(
            OWNER,
            OWNER,
            Holder::Person("Syntetisk", "Person", "1961-05-07"),
        )],
        ..Unit::PLAIN
    },
    Unit {
        number: "314401077",
        name: "FRODIG SNILL MUS AS",
        registered: "2020-05-05",
        founded: Some("2020-05-01"),
        industries: &[PROGRAMMING],
        sector: Some(PRIVATE_COMPANY),
        employees: 3,
        business_address: Some(address(&["Musehullet 1"], ("0150", "OSLO"), OSLO)),
        accounts: Some("2024"),
        in_business_register: true,
        ..Unit::PLAIN
    },
];

const SUB_UNIT_OF_TIGER: Unit = Unit {
    form: SUB_UNIT,
    founded: Some("2009-04-01"),
    above: Some("902201076"),
    industries: &[PROGRAMMING],
    pays_vat: true,
    ..Unit::PLAIN
};
