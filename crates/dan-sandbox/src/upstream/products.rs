//! The product service of the business registers, which speaks SOAP: what products there are of an organisation, and the
//! order of one (services.md §1.1). Its words are invented.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};

use crate::people::{self, Unit};
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/produkter";
/// User and password that it wants, with a colon between them.
pub const PRODUCTS_LOGIN: &str = "sandkasse:hemmelig-i-sandkassen";
/// The certificate of registration.
const CERTIFICATE: &str = "2000";

/// Answers `POST /produkter/v1` with a SOAP envelope.
pub(crate) fn answer(call: &Call) -> Reply {
    if call.path().strip_prefix(PATH) != Some("/v1") {
        return reply::no_such_route();
    }
    if call.method() != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let wanted = format!("Basic {}", STANDARD.encode(PRODUCTS_LOGIN));
    if call.header(&AUTHORIZATION) != Some(wanted.as_str()) {
        return reply::unauthorized("Basic", "user and password are needed");
    }
    let Ok(body) = std::str::from_utf8(call.body()) else {
        return fault("the body is no text");
    };
    let number = element(body, "orgnr").unwrap_or_default();
    if !people::is_organisation_number(number) {
        return fault("orgnr is no organisation number");
    }
    let unit = people::unit(number).filter(|unit| unit.in_business_register);
    if body.contains("listProducts>") {
        return listed(unit, element(body, "productType").unwrap_or_default());
    }
    match (
        unit,
        element(body, "productId").and_then(|id| id.strip_prefix("F-")),
    ) {
        (Some(unit), Some(of)) if of == unit.number => ordered(unit),
        (_, Some(_)) => fault("there is no such product"),
        (_, None) => fault("the operation is unknown"),
    }
}

/// The text of the first element of that name, which has no attributes.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

fn listed(unit: Option<&Unit>, kind: &str) -> Reply {
    let product = unit.filter(|_| kind == CERTIFICATE).map(|unit| {
        format!(
            "<product><id>F-{}</id><type>{CERTIFICATE}</type><name>Firmaattest</name></product>",
            unit.number
        )
    });
    let products = product.unwrap_or_default();
    envelope(
        StatusCode::OK,
        &format!(
            "<p:listProductsResponse xmlns:p=\"urn:produkter\"><return>{products}</return></p:listProductsResponse>"
        ),
    )
}

fn ordered(unit: &Unit) -> Reply {
    let number = unit.number;
    envelope(
        StatusCode::OK,
        &format!(
            "<p:orderProductsResponse xmlns:p=\"urn:produkter\"><return><product><id>F-{number}</id>\
             <url>https://produkter.sandbox.example/firmaattest/{number}.pdf?v=1&amp;spraak=nb</url>\
             </product></return></p:orderProductsResponse>"
        ),
    )
}

/// SOAP 1.1 §6.2: a fault comes with 500.
fn fault(why: &str) -> Reply {
    envelope(
        StatusCode::INTERNAL_SERVER_ERROR,
        &format!(
            "<soapenv:Fault><faultcode>soapenv:Client</faultcode><faultstring>{why}</faultstring></soapenv:Fault>"
        ),
    )
}

fn envelope(status: StatusCode, body: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    reply::bytes(status, "text/xml; charset=utf-8", text.into())
}
