use super::*;
use test_case::test_case;

#[test_case("unix:path=/run/unitlink/controller.sock")]
#[test_case("unix:path=/run/a%20b%c3%a4")]
#[test_case("tcp:host=10.0.0.1,port=842")]
#[test_case("tcp:host=::1,port=842,family=ipv6")]
#[test_case("tcp:host=main.example.org,port=1")]
#[test_case("tcp:host=fe80::1%25eth0,port=842")]
fn what_is_read_is_written_the_same(text: &str) {
    assert_eq!(text.parse::<Address>().expect("valid").to_string(), text);
}

#[test_case("unix:path=%2fa,guid=0123" => "unix:path=/a"; "escapes that need not be, and a guid")]
#[test_case("tcp:port=842,host=%3A%3a1" => "tcp:host=::1,port=842"; "another order")]
fn addresses_have_one_form(text: &str) -> String {
    text.parse::<Address>().expect("valid").to_string()
}

#[test_case(
    "",
    "the address is empty, expected one like 'tcp:host=10.0.0.1,port=842'"
)]
#[test_case(
    "unix:path=/a;tcp:host=b,port=1",
    r#"several addresses in one text, write a list: ["unix:path=/a", "tcp:host=b,port=1"]"#
)]
#[test_case(
    "/run/a.sock",
    "no transport in front, expected 'unix:path=…' or 'tcp:host=…,port=…'"
)]
#[test_case(
    "vsock:cid=1",
    "transport 'vsock' is not supported, expected 'unix' or 'tcp'"
)]
#[test_case("unix:abstract=/a", "'unix' has no key 'abstract', expected 'path'")]
#[test_case("unix:", "'path' is missing")]
#[test_case("unix:path=", "'path' is empty")]
#[test_case("unix:path=a", "path 'a' is not absolute")]
#[test_case("unix:path=/a,path=/b", "'path' is given twice")]
#[test_case("tcp:host", "'host' is not of the form key=value")]
#[test_case("tcp:host=a", "'port' is missing")]
#[test_case("tcp:port=842", "'host' is missing")]
#[test_case("tcp:host=a,port=0", "port '0' is not a number from 1 to 65535")]
#[test_case("tcp:host=a,port=%2b1", "port '+1' is not a number from 1 to 65535")]
#[test_case(
    "tcp:host=a,port=65536",
    "port '65536' is not a number from 1 to 65535"
)]
#[test_case(
    "tcp:host=10.0.0.1:842,port=1",
    "host '10.0.0.1:842' is neither a host name nor an IP address"
)]
#[test_case(
    "tcp:host=10.0.0.1,port=1,family=ipv6",
    "host '10.0.0.1' is not of family 'ipv6'"
)]
#[test_case(
    "tcp:host=a,port=1,family=inet",
    "family 'inet' is not known, expected 'ipv4' or 'ipv6'"
)]
#[test_case(
    "unix:path=/a%2",
    "'/a%2' is not escaped as an address must be: % and two hexadecimal digits"
)]
#[test_case(
    "unix:path=/a b",
    "'/a b' is not escaped as an address must be: % and two hexadecimal digits"
)]
#[test_case("unix:path=/a%00", "path \"/a\\0\" has a NUL in it")]
fn a_wrong_address_says_what_is_wrong(text: &str, message: &str) {
    assert_eq!(
        text.parse::<Address>().expect_err("wrong").to_string(),
        message
    );
}

#[test]
fn a_path_that_fits_no_socket_is_refused() {
    let path = |length: usize| format!("unix:path=/{}", "a".repeat(length - 1));
    assert!(path(UNIX_PATH_BYTES_MAX).parse::<Address>().is_ok());
    let error = path(UNIX_PATH_BYTES_MAX + 1)
        .parse::<Address>()
        .expect_err("too long");
    assert!(
        error
            .to_string()
            .ends_with("has 108 bytes, a Unix socket can have 107")
    );
}

#[test_case("[::]:842", Ok("[::]:842"); "all addresses")]
#[test_case("10.0.0.1:842", Ok("10.0.0.1:842"); "one address")]
#[test_case("10.0.0.1", Err("'10.0.0.1' is not an IP address and a port, expected one like '10.0.0.1:842' or '[::]:842'"); "no port")]
#[test_case("[::]:0", Err("port '0' is not a number from 1 to 65535"); "any port")]
fn listen_addresses(text: &str, expected: Result<&str, &str>) {
    let result = ListenAddress::tcp(text).map(|address| address.to_string());
    assert_eq!(
        result.as_deref().map_err(ToString::to_string),
        expected.map_err(str::to_owned)
    );
}
