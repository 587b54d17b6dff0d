//! Races between the check of a field and the insertion: whatever moves in between, no other origin sees a value.

use serde_json::json;

use super::browser_kit::{Kit, Tab};

const VALUE: &str = "in-a-race-3/\u{f6}";
const SECRETS: &str = r#"{"HOME": {"x_race": "in-a-race-3/ö"}}"#;

/// How often which attempts came to what.
#[derive(Default)]
struct Tally {
    inserted: usize,
    refused: usize,
}

impl Tally {
    /// Types while the page does something after so many milliseconds, of which each attempt takes another number.
    async fn attempt(&mut self, kit: &mut Kit, tab: &Tab, begin: &str) {
        kit.eval(tab, begin).await;
        match kit.insert(tab, "{{x_race}}").await {
            Ok(_) => self.inserted += 1,
            Err(error) => {
                assert!(error.starts_with("x_race was not typed: "), "{error}");
                self.refused += 1;
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.refused += other.refused;
    }
}

/// Milliseconds before the page's move in an attempt: most are few, some give a busy machine the time to insert first.
fn delay(attempt: usize) -> usize {
    if attempt % 20 == 19 {
        1500
    } else {
        (attempt % 12) << (attempt % 5)
    }
}

async fn navigate(kit: &mut Kit, tab: &Tab, url: &str) {
    let session = tab.session.clone();
    let navigated = kit.call(Some(&session), "Page.navigate", json!({"url": url}));
    navigated.await.unwrap();
    kit.until(
        tab,
        &format!("location.href === '{url}' && document.readyState === 'complete'"),
    )
    .await;
}

/// A frame of another site takes the focus.
async fn thefts(kit: &mut Kit, times: usize) -> Tally {
    let (home, other) = (kit.site.home(), kit.site.other());
    kit.site.page(
        "/thief",
        "<input id=t><script>onmessage = ({data}) => setTimeout(() => t.focus(), data)</script>",
    );
    kit.site.page(
        "/theft",
        &format!("<input id=a><iframe id=f src={other}/thief></iframe>"),
    );
    let tab = kit.open(&format!("{home}/theft")).await;
    let mut tally = Tally::default();
    for n in 0..times {
        let begin = format!(
            "a.value = ''; a.blur(); a.focus(); f.contentWindow.postMessage({}, '*')",
            delay(n)
        );
        tally.attempt(kit, &tab, &begin).await;
    }
    let stolen = "document.activeElement.id === 'f'";
    kit.until(&tab, stolen).await;
    // What the thief's field holds, as the browser says it.
    let frames = kit
        .call(None, "Target.getTargets", json!({}))
        .await
        .unwrap();
    let frames = frames["targetInfos"].as_array().unwrap().clone();
    let thief = frames
        .iter()
        .find(|info| info["url"] == format!("{other}/thief"));
    let target = thief.unwrap()["targetId"].as_str().unwrap().to_owned();
    let thief = Tab {
        session: kit.attach(&target).await,
        target,
    };
    assert_eq!(kit.eval(&thief, "t.value").await, "");
    tally
}

/// The frame, or the page, goes to another site, which takes the focus there.
async fn navigations(kit: &mut Kit, times: usize) -> Tally {
    let (home, other) = (kit.site.home(), kit.site.other());
    kit.site.page(
        "/in",
        "<input id=a><script>onload = () => a.focus()</script>",
    );
    kit.site.page("/nest", "<iframe id=f src=/in></iframe>");
    let tab = kit.open(&format!("{home}/nest")).await;
    let mut tally = Tally::default();
    for n in 0..times {
        kit.eval(&tab, &format!("f.src = '/in?{n}'")).await;
        let there = format!(
            "(() => {{ const inside = f.contentDocument; const a = inside?.readyState === 'complete'
                && inside.location.search === '?{n}' && inside.querySelector('#a'); a && a.focus(); return !!a; }})()"
        );
        kit.until(&tab, &there).await;
        let begin = format!("setTimeout(() => f.src = '{other}/in?{n}', {})", delay(n));
        tally.attempt(kit, &tab, &begin).await;
        kit.until(&tab, "f.contentDocument === null").await;
    }
    for n in 0..times {
        navigate(kit, &tab, &format!("{home}/in?top{n}")).await;
        let begin = format!(
            "a.focus(); setTimeout(() => location = '{other}/in?top{n}', {}); 1",
            delay(n)
        );
        tally.attempt(kit, &tab, &begin).await;
        // Or else it would come amid the next navigation.
        kit.until(&tab, &format!("location.href === '{other}/in?top{n}'"))
            .await;
    }
    tally
}

/// The field is exchanged for one of a form that goes elsewhere; and the frame around it for one of another site.
async fn swaps(kit: &mut Kit, times: usize) -> Tally {
    let (home, other) = (kit.site.home(), kit.site.other());
    kit.site
        .page("/swap", "<div id=d></div><iframe name=sink></iframe>");
    let tab = kit.open(&format!("{home}/swap")).await;
    let mut tally = Tally::default();
    for n in 0..times {
        let begin = format!(
            "d.innerHTML = '<input id=a>'; d.firstChild.focus(); setTimeout(() => {{
                d.innerHTML = '<form method=post target=sink action={other}/take><input name=b id=b></form>';
                d.querySelector('#b').focus();
                setTimeout(() => d.querySelector('form')?.submit(), 5);
            }}, {})",
            delay(n)
        );
        tally.attempt(kit, &tab, &begin).await;
        // The same element goes into such a form, before the value is in it or not at all.
        let begin = format!(
            "d.innerHTML = '<input id=a name=a>'; d.firstChild.focus(); setTimeout(() => {{
                const a = d.querySelector('#a');
                if (a.value) return;
                d.innerHTML = '<form method=post target=sink action={other}/take></form>';
                d.firstChild.append(a); a.focus();
                setTimeout(() => d.querySelector('form')?.submit(), 5);
            }}, {})",
            delay(n)
        );
        tally.attempt(kit, &tab, &begin).await;
    }
    tally
}

#[test]
fn p2_no_race_leaks_a_value_to_another_origin() {
    Kit::run(SECRETS, async |kit| {
        let mut all = Tally::default();
        for (what, tally) in [
            ("thefts", thefts(kit, 120).await),
            ("navigations", navigations(kit, 40).await),
            ("swaps", swaps(kit, 40).await),
        ] {
            assert!(
                tally.inserted > 0 && tally.refused > 0,
                "{what}: no race in {} and {}",
                tally.inserted,
                tally.refused
            );
            all.add(&tally);
        }
        assert!(all.inserted + all.refused >= 200);
        // What the browser still had to say to the servers comes before this.
        let home = kit.site.home();
        let other = kit.site.other();
        let tab = kit.open(&format!("{other}/in")).await;
        kit.eval(
            &tab,
            "fetch('/saw', {method: 'POST', body: 'the end'}).then(() => 1)",
        )
        .await;
        let saw = kit.site.saw(&other).concat();
        assert!(saw.contains("the end") && saw.contains("/take"));
        assert!(kit.site.saw(&home).concat().contains(VALUE));
        for part in [VALUE, "in-a-race", "race-3"] {
            assert!(!saw.contains(part), "{part} went to another origin");
        }
    });
}
