//! The entity register, for plugins and other programs (`wire-api.md` §4.12).

use std::sync::Arc;

use super::Exchange;
use super::decide::authority_fault;
use crate::error::Fault;
use crate::party::{OrgNumber, Party};
use crate::ports::{CallContext, Fact, FactQuery, Unit};

/// How many parents are climbed, and how many levels a hierarchy has (`wire-api.md` §4.12).
pub const LEVELS_MAX: usize = 10;
/// Most units one hierarchy holds: it is anonymous, and must not amplify (`engine.md` W-43).
pub const HIERARCHY_UNITS_MAX: usize = 500;

/// A unit and those below it.
#[derive(Debug)]
pub struct Hierarchy {
    /// The unit.
    pub unit: Arc<Unit>,
    /// Units below.
    pub below: Vec<Self>,
}

impl Exchange {
    /// The unit with this number; `None` when there is none, also for what is no number.
    ///
    /// # Errors
    /// 1013 when the register is out of reach.
    pub async fn unit(&self, number: &str, ctx: &CallContext) -> Result<Option<Arc<Unit>>, Fault> {
        match self.org_number(number) {
            Some(number) => self.unit_of(number, ctx).await,
            None => Ok(None),
        }
    }

    /// The top of the chain of units above, or the unit itself.
    ///
    /// # Errors
    /// 1013 when the register is out of reach.
    pub async fn main_unit(
        &self,
        number: &str,
        ctx: &CallContext,
    ) -> Result<Option<Arc<Unit>>, Fault> {
        let Some(mut unit) = self.unit(number, ctx).await? else {
            return Ok(None);
        };
        for _ in 0..LEVELS_MAX {
            let Some(parent) = unit.parent.filter(|_| unit.is_sub_unit) else {
                break;
            };
            match self.unit_of(parent, ctx).await? {
                Some(above) => unit = above,
                None => break,
            }
        }
        Ok(Some(unit))
    }

    /// The sub units right below; none for an unknown unit.
    ///
    /// # Errors
    /// 1013 when the register is out of reach.
    pub async fn sub_units(
        &self,
        number: &str,
        ctx: &CallContext,
    ) -> Result<Vec<Arc<Unit>>, Fault> {
        match self.org_number(number) {
            Some(number) => self.units_below(number, ctx).await,
            None => Ok(Vec::new()),
        }
    }

    /// The unit with everything below it, at most [`LEVELS_MAX`] levels and
    /// [`HIERARCHY_UNITS_MAX`] units.
    ///
    /// # Errors
    /// 1013 when the register is out of reach.
    pub async fn hierarchy(
        &self,
        number: &str,
        ctx: &CallContext,
    ) -> Result<Option<Hierarchy>, Fault> {
        let Some(unit) = self.unit(number, ctx).await? else {
            return Ok(None);
        };
        // Level by level, so that depth costs no stack; each row knows its place above.
        let mut rows: Vec<(Option<usize>, Arc<Unit>)> = vec![(None, unit)];
        let mut next = 0;
        let mut level_end = 1;
        for _ in 0..LEVELS_MAX {
            while next < level_end {
                let Some((_, unit)) = rows.get(next) else {
                    break;
                };
                for below in self.units_below(unit.number, ctx).await? {
                    if rows.len() < HIERARCHY_UNITS_MAX {
                        rows.push((Some(next), below));
                    }
                }
                next = next.saturating_add(1);
            }
            if rows.len() == level_end {
                break;
            }
            level_end = rows.len();
        }
        Ok(assemble(rows))
    }

    fn org_number(&self, text: &str) -> Option<OrgNumber> {
        // Numbers of the other kind do not exist here (`wire-api.md` §4.12).
        Party::parse(text, self.settings.realm)
            .ok()
            .and_then(|party| party.org())
    }

    async fn unit_of(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Option<Arc<Unit>>, Fault> {
        match self
            .ports
            .facts
            .find(&FactQuery::Unit(number), ctx)
            .await
            .map_err(authority_fault)?
        {
            Fact::Unit(unit) => Ok(unit),
            Fact::Units(_) | Fact::Held(_) => Ok(None),
        }
    }

    async fn units_below(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Vec<Arc<Unit>>, Fault> {
        match self
            .ports
            .facts
            .find(&FactQuery::SubUnits(number), ctx)
            .await
            .map_err(authority_fault)?
        {
            Fact::Units(units) => Ok(units),
            Fact::Unit(_) | Fact::Held(_) => Ok(Vec::new()),
        }
    }
}

/// Rows come parents first; fold them from the end.
fn assemble(rows: Vec<(Option<usize>, Arc<Unit>)>) -> Option<Hierarchy> {
    let mut nodes: Vec<(Option<usize>, Hierarchy)> = rows
        .into_iter()
        .map(|(above, unit)| {
            (
                above,
                Hierarchy {
                    unit,
                    below: Vec::new(),
                },
            )
        })
        .collect();
    while let Some((above, mut node)) = nodes.pop() {
        node.below.reverse();
        match above {
            Some(above) => nodes.get_mut(above)?.1.below.push(node),
            None => return Some(node),
        }
    }
    None
}
