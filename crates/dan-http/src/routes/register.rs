//! `ccr`: the entity register, for plugins (`wire-api.md` §4.12).

use std::sync::Arc;

use dan_core::error::{Code, Fault};
use dan_core::ports::Unit;

use crate::render::{self, Outbound};
use crate::visit::Visit;
use crate::wire::unit::{self as wire, WireHierarchy};

fn absent() -> Fault {
    Fault::with(Code::InvalidSubject, "the entity register has no such unit").status(404)
}

fn show(unit: Option<Arc<Unit>>) -> Result<Outbound, Fault> {
    let unit = unit.ok_or_else(absent)?;
    render::json_utf8(&wire::unit(&unit))
}

pub(crate) async fn unit(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    show(visit.exchange().unit(visit.segment(0), visit.ctx).await?)
}

pub(crate) async fn main_unit(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    show(
        visit
            .exchange()
            .main_unit(visit.segment(0), visit.ctx)
            .await?,
    )
}

pub(crate) async fn sub_units(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let units = visit
        .exchange()
        .sub_units(visit.segment(0), visit.ctx)
        .await?;
    render::json_utf8(
        &units
            .iter()
            .map(|unit| wire::unit(unit))
            .collect::<Vec<_>>(),
    )
}

pub(crate) async fn is_public(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let unit = visit.exchange().unit(visit.segment(0), visit.ctx).await?;
    render::json_utf8(&unit.is_some_and(|unit| unit.is_public_agency()))
}

pub(crate) async fn hierarchy(visit: &Visit<'_>) -> Result<Outbound, Fault> {
    let found = visit
        .exchange()
        .hierarchy(visit.segment(0), visit.ctx)
        .await?;
    render::json_utf8(&WireHierarchy::of(&found.ok_or_else(absent)?))
}
