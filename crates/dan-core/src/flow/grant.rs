//! `POST authorization`: decide, then keep the grant together with its audit rows.

use std::sync::Arc;

use super::decide::{Verdict, refusal_fault};
use super::{Call, Exchange, Idempotency, store_fault};
use crate::accreditation::{Accreditation, AccreditationId, GrantedDataset, SkippedDataset};
use crate::audit::{Action, AuditRecord, Phase};
use crate::catalog::Catalog;
use crate::context::ServiceContext;
use crate::error::Fault;
use crate::inquiry::{Application, Inquiry, OfferedTokens, Origin};
use crate::ports::{Batch, StoreError, Write};

/// A grant that was just given, with the catalogue it was given from.
#[derive(Debug)]
pub struct Granted {
    /// The grant.
    pub accreditation: Accreditation,
    /// The catalogue of that moment, for showing the definitions.
    pub catalog: Arc<Catalog>,
}

impl Exchange {
    /// Gives a grant, or says why not. Each success is a new grant, unless an [`Idempotency`] says that
    /// the same was asked before: then it is that grant again.
    ///
    /// # Errors
    /// The codes of `wire-api.md` §11 in their order; 1013 when an authority or the store is out of
    /// reach. Nothing is kept then but the record of the refusal.
    pub async fn grant(
        &self,
        call: Call<'_>,
        application: Application,
        tokens: OfferedTokens,
        idempotency: Option<Idempotency>,
    ) -> Result<Granted, Fault> {
        let catalog = self.catalog();
        if let Some(idempotency) = &idempotency
            && let Some(granted) = self.remembered(call, idempotency, &catalog).await?
        {
            return Ok(granted);
        }
        let decided = self.decide_grant(call, application, tokens, &catalog).await;
        let (inquiry, skipped) = match decided {
            Ok(decided) => decided,
            Err((fault, record)) => {
                self.meter.grants_refused.count();
                let refused = AuditRecord {
                    phase: Phase::Failed {
                        code: fault.code.number(),
                    },
                    ..*record
                };
                self.recorder
                    .write(vec![Write::AppendAudit(Box::new(refused))])
                    .await;
                return Err(fault);
            }
        };
        let accreditation = self.accreditation_of(inquiry, skipped);
        let record = AuditRecord {
            accreditation: Some(accreditation.id.to_string()),
            basis: accreditation
                .legal_bases
                .iter()
                .map(|basis| basis.id.clone())
                .collect(),
            external_reference: accreditation.external_reference.clone(),
            requestor: Some(accreditation.requestor.clone()),
            subject: accreditation.subject.clone(),
            dataset: names(
                accreditation
                    .datasets
                    .iter()
                    .map(|dataset| dataset.name.as_str()),
            ),
            context: accreditation.context.clone(),
            ..self.record(call, Action::AuthorizationGranted)
        };
        let granted = Granted {
            accreditation,
            catalog,
        };
        self.keep(call, granted, record, idempotency).await
    }

    /// Grant, record and idempotency key go in together, or nothing does.
    async fn keep(
        &self,
        call: Call<'_>,
        granted: Granted,
        record: AuditRecord,
        idempotency: Option<Idempotency>,
    ) -> Result<Granted, Fault> {
        let mut writes = vec![
            Write::PutAccreditation {
                value: Box::new(granted.accreditation.clone()),
                expect: 0,
            },
            Write::AppendAudit(Box::new(record)),
        ];
        if let Some(idempotency) = &idempotency {
            let now = self.now();
            writes.push(Write::PutIdempotency {
                value: Box::new(idempotency.record(&granted, now)),
                now,
            });
        }
        match (self.ports.store.commit(&Batch(writes)).await, &idempotency) {
            (Ok(()), _) => {
                self.meter.grants.count();
                Ok(granted)
            }
            // Somebody with the same key was faster; theirs is the answer.
            (Err(StoreError::Conflict), Some(idempotency)) => {
                let theirs = self.remembered(call, idempotency, &granted.catalog).await?;
                theirs.ok_or_else(|| store_fault(StoreError::Conflict))
            }
            (Err(error), _) => Err(store_fault(error)),
        }
    }

    /// The inquiry with its skipped datasets already taken out; or the fault and what to record.
    async fn decide_grant(
        &self,
        call: Call<'_>,
        application: Application,
        tokens: OfferedTokens,
        catalog: &Arc<Catalog>,
    ) -> Result<(Inquiry, Vec<SkippedDataset>), (Fault, Box<AuditRecord>)> {
        let mut record = self.record(call, Action::AuthorizationRefused);
        record.dataset = names(
            application
                .datasets
                .iter()
                .map(|dataset| catalog.name_for_record(&dataset.name)),
        );
        let inquiry = Inquiry::new(
            application,
            call.caller,
            tokens,
            Origin::Grant,
            self.reading(catalog),
        );
        let mut inquiry = match inquiry {
            Ok(inquiry) => inquiry,
            Err(fault) => return Err((fault, Box::new(record))),
        };
        record.context.clone_from(&inquiry.context.name);
        record.requestor = Some(inquiry.requestor.clone());
        record.subject.clone_from(&inquiry.subject);
        let Verdict { refused, skipped } = match self.decide(&inquiry, call.ctx).await {
            Ok(verdict) => verdict,
            Err(fault) => return Err((fault, Box::new(record))),
        };
        if !refused.is_empty() {
            return Err((refusal_fault(&refused), Box::new(record)));
        }
        inquiry.asked.retain(|one| {
            skipped
                .iter()
                .all(|refusal| refusal.dataset != one.request.name)
        });
        if inquiry.asked.is_empty() {
            return Err((refusal_fault(&skipped), Box::new(record)));
        }
        let skipped = skipped
            .into_iter()
            .map(|refusal| SkippedDataset {
                name: refusal.dataset,
                rule_id: refusal.rule.id.clone(),
            })
            .collect();
        Ok((inquiry, skipped))
    }

    fn accreditation_of(&self, inquiry: Inquiry, skipped: Vec<SkippedDataset>) -> Accreditation {
        let now = self.now();
        let mut random = [0; 16];
        self.ports.entropy.fill(&mut random);
        let valid_to = inquiry.effective_valid_to(now, self.settings.validity);
        let datasets = inquiry
            .asked
            .into_iter()
            .map(|one| GrantedDataset {
                name: one.request.name,
                parameters: one.request.parameters,
                legal_basis_id: one.request.legal_basis_id,
                request_consent: one.request.request_consent,
            })
            .collect();
        Accreditation {
            id: AccreditationId::from_random(random),
            owner: inquiry.owner,
            context: inquiry.context.name.clone(),
            requestor: inquiry.requestor,
            subject: inquiry.subject,
            datasets,
            skipped,
            legal_bases: inquiry.legal_bases,
            issued: now,
            last_changed: now,
            valid_to,
            consent_reference: inquiry.consent_reference,
            external_reference: inquiry.external_reference,
            language: inquiry
                .language
                .unwrap_or_else(|| ServiceContext::DEFAULT_LANGUAGE.to_owned())
                .to_lowercase(),
            consent_receipt_redirect_url: inquiry.consent_receipt_redirect_url,
        }
    }

    /// A record of something this caller did, to be filled in.
    pub(super) fn record(&self, call: Call<'_>, action: Action) -> AuditRecord {
        let Call { caller, ctx } = call;
        let context = self.catalog().context_by_id(caller.context_id());
        let request_id = ctx.request_id.to_string();
        AuditRecord {
            key_id: caller.key_id().to_owned(),
            owner: Some(caller.owner()),
            supplier: caller.supplier(),
            system_user: caller.system_user().map(str::to_owned),
            context: context
                .map(|context| context.name.clone())
                .unwrap_or_default(),
            ..AuditRecord::done(self.now(), action, request_id)
        }
    }
}

/// Names joined for a record, cut where a client sends absurdly many or long ones.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const NAMES_LENGTH_MAX: usize = 1024;
    let joined = names.collect::<Vec<_>>().join(",");
    joined.chars().take(NAMES_LENGTH_MAX).collect()
}
