use super::*;

fn scope(offline: bool) -> Scope {
    let env = [
        ("KEY", "sk-live-1"),
        ("EMPTY", ""),
        ("N", "12"),
        ("FLAG", "true"),
        ("T_FILE", "t.txt"),
        ("B", "1"),
        ("B_FILE", "b"),
        ("TPL", "${{ env.KEY }}"),
    ];
    Scope {
        env: Arc::new(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
        vars: Arc::new(BTreeMap::from([("region".to_owned(), Value::from("eu")), ("n".to_owned(), Value::Number(3.into()))])),
        read_file: Arc::new(|path| match path {
            "t.txt" => Ok("from-file\n".into()),
            _ => Err("no such file".into()),
        }),
        offline,
        redactor: Redactor::default(),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Secret(s) => format!("secret {}", s.expose()),
        Value::Unknown(what) => format!("unknown {what}"),
        other => other.canonical(),
    }
}

fn render(text: &str) -> Result<String, TemplateErrorKind> {
    Renderer::new(&scope(false)).render(text, None).map(|r| show(&r.value)).map_err(|e| e.kind)
}

#[test]
fn values_keep_type_and_taint() {
    for (text, expected) in [
        ("plain", "\"plain\""),
        ("{{prompt}} and {{ system_prompt }}", "\"{{prompt}} and {{ system_prompt }}\""),
        ("${{ env.KEY }}", "secret sk-live-1"),
        ("Bearer ${{ env.KEY }}", "secret Bearer sk-live-1"),
        ("${{ env.KEY | upper }}", "secret SK-LIVE-1"),
        ("${{ 'yes' if env.KEY == 'x' else 'no' }}", "secret no"),
        ("${{ env.NOPE | default('d') }}", "secret d"),
        ("${{ env.EMPTY | default('d') }}", "secret d"),
        ("${{ env.T }}", "secret from-file"),
        ("${{ file('t.txt') }}", "secret from-file"),
        ("${{ env.N | int }}", "12"),
        ("${{ env.KEY | nonsensitive }}", "\"sk-live-1\""),
        ("${{ 'c2stYQ==' | b64decode }}", "\"sk-a\""),
        ("${{ var.region }}-1", "\"eu-1\""),
        ("${{ var.n }}", "3"),
        ("n=${{ var.n }} ${{ 1 == 1 }}", "\"n=3 true\""),
        ("${{ none }}", "null"),
        ("${{ '}}' }}", "\"}}\""),
        ("${{ env.TPL }}", "secret ${{ env.KEY }}"),
        ("${{ '${{' }}", "\"${{\""),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn trouble_is_named() {
    use TemplateErrorKind as K;
    for (text, expected) in [
        ("${{ env.NOPE }}", K::Unset("NOPE".into())),
        ("x ${{ env.NOPE }} y", K::Unset("NOPE".into())),
        ("${{ env.NOPE | upper }}", K::Unset("NOPE".into())),
        ("${{ env.EMPTY }}", K::Empty("EMPTY".into())),
        ("${{ env.B }}", K::BothSet("B".into())),
        ("${{ file('nope') }}", K::File("nope".into(), "no such file".into())),
        ("${{ env.KEY", K::Other("`${{` has no `}}`".into())),
        ("a ${{ none }}", K::Other("inside a text, an expression must give a text, a number or a boolean".into())),
    ] {
        assert_eq!(render(text), Err(expected), "{text}");
    }
    for text in ["${{ nope }}", "${{ var.nope }}", "${{ 1 + }}", "${{ env.KEY | nope }}", "${{ connection('a').nope }}"] {
        assert!(matches!(render(text), Err(K::Other(_))), "{text}: {:?}", render(text));
    }
}

#[test]
fn errors_never_hold_the_value() {
    for text in ["${{ env.KEY | int }}", "${{ env.KEY + 1 }}", "${{ env.KEY.x.y }}", "${{ env.KEY() }}"] {
        let error = format!("{:?}", render(text));
        assert!(!error.contains("sk-live-1"), "{text}: {error}");
    }
}

#[test]
fn ranges_point_into_the_scalar() {
    let error = Renderer::new(&scope(false)).render("ab ${{ nope }} c", None).unwrap_err();
    assert_eq!(&"ab ${{ nope }} c"[error.range], "nope");
}

#[test]
fn references_wait_for_their_value() {
    let renderer = Renderer::new(&scope(false));
    let text = "x-${{ connection('base').id }}";
    let waiting = renderer.render(text, None).unwrap();
    assert_eq!(show(&waiting.value), "unknown base.id");
    assert_eq!(waiting.references, [Reference { connection: "base".into(), field: None }]);
    let lookup: Lookup = Arc::new(|r| (r.field.is_none()).then(|| Value::from("cn-1")));
    assert_eq!(show(&renderer.render(text, Some(&lookup)).unwrap().value), "\"x-cn-1\"");
    assert_eq!(show(&renderer.render("${{ connection('a').field('model') }}", Some(&lookup)).unwrap().value), "unknown a.model");
}

#[test]
fn offline_renders_placeholders() {
    let renderer = Renderer::new(&scope(true));
    assert_eq!(show(&renderer.render("${{ env.NOPE }}", None).unwrap().value), "unknown env.NOPE");
    assert_eq!(show(&renderer.render("${{ env.NOPE | default('d') }}", None).unwrap().value), "unknown env.NOPE");
    assert_eq!(show(&renderer.render("${{ env.EMPTY }}", None).unwrap().value), "unknown env.EMPTY");
}

#[test]
fn a_default_hides_no_mistake() {
    let mut scope = scope(false);
    let env = [("A", "a"), ("A_FILE", "there"), ("B_FILE", "missing")];
    scope.env = Arc::new(env.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
    for name in ["env.A", "env.B", "C", "evn.C", "var.c", "(C)"] {
        let rendered = Renderer::new(&scope).render(&format!("${{{{ {name} | default('d') }}}}"), None);
        assert!(rendered.is_err(), "{name}: {rendered:?}");
    }
    assert_eq!(show(&Renderer::new(&scope).render("${{ env.C | default('d') }}", None).unwrap().value), "secret d");
}

#[test]
fn work_is_bounded() {
    let many = format!("${{{{ {} }}}}", vec!["1"; 30_000].join(" + "));
    assert!(render(&many).is_err());
    assert!(render(&format!("${{{{ {} }}}}", vec!["1"; 500].join(" + "))).is_ok());
    assert!(render("${{ 'a' * 2000000 }}").is_err());
}

#[test]
fn a_key_means_the_own_target_first() {
    let declared: BTreeMap<Address, ()> = ["a/x", "b/x", "b/y", "c/z"].iter().map(|t| (t.parse().unwrap(), ())).collect();
    let from = "b/me".parse().unwrap();
    let find = |name| find_reference(name, &from, &declared).map(|a| a.to_string());
    assert_eq!(find("x").as_deref(), Ok("b/x"));
    assert_eq!(find("z").as_deref(), Ok("c/z"));
    assert_eq!(find("a/x").as_deref(), Ok("a/x"));
    assert_eq!(find("a/y"), Err("no connection `a/y` is declared".into()));
    assert_eq!(find("q"), Err("no connection `q` is declared".into()));
    assert_eq!(find_reference("x", &"d/me".parse().unwrap(), &declared), Err("`x` may mean `a/x` or `b/x`".into()));
}
