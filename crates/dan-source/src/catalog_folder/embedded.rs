//! The shipped catalogue, embedded. The one list of its files; a test keeps it complete.

macro_rules! catalog {
    ($($path:literal,)*) => {
        &[$((
            $path,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/", $path)),
        ),)*]
    };
}

/// Path and text of every file of the shipped catalogue.
#[must_use]
pub const fn embedded() -> &'static [(&'static str, &'static str)] {
    catalog![
        "contexts/altinnstudioapps-product.toml",
        "contexts/bits-product.toml",
        "contexts/dantest-product.toml",
        "contexts/dgm-product.toml",
        "contexts/dihe-product.toml",
        "contexts/drosjeloyve-product.toml",
        "contexts/duediligence-product.toml",
        "contexts/ebevis-product.toml",
        "contexts/nsg-product.toml",
        "contexts/oed-product.toml",
        "contexts/reelle-product.toml",
        "contexts/tilsynsdata-product.toml",
        "contexts/tilsynsraad-product.toml",
        "datasets/AnnualFinancialReport.toml",
        "datasets/DanTestApne.toml",
        "datasets/DanTestDokument.toml",
        "datasets/DanTestVedlegg.toml",
        "datasets/KonkursDrosje.toml",
        "datasets/RestanserV2.toml",
        "datasets/Roller.toml",
        "datasets/TildaMetadatav1.toml",
        "datasets/UnitBasicInformation.toml",
        "examples/apne.json",
        "examples/apne.values.json",
        "examples/dokument.json",
        "examples/dokument.values.json",
        "examples/enhet-full.json",
        "examples/enhet-full.values.json",
        "examples/konkurs-full.json",
        "examples/konkurs-full.values.json",
        "examples/konkurs.json",
        "examples/konkurs.values.json",
        "examples/regnskap-ett.json",
        "examples/regnskap-ett.values.json",
        "examples/regnskap.json",
        "examples/regnskap.values.json",
        "examples/restanser.json",
        "examples/restanser.values.json",
        "examples/roller-alle.values.json",
        "examples/roller-dagl.values.json",
        "examples/roller-ingen.json",
        "examples/roller-ingen.values.json",
        "examples/roller.json",
        "examples/roller.values.json",
        "examples/tilda-metadata.values.json",
        "examples/underenhet.json",
        "examples/underenhet.values.json",
        "examples/vedlegg.json",
        "examples/vedlegg.values.json",
        "sources/er.toml",
        "sources/skatt.toml",
        "sources/testdata.toml",
        "tables/tilda_agencies.toml",
    ]
}
