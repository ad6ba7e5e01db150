//! Links between the pages lead somewhere.

use crate::page;

/// The targets of Markdown's links in a page.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    page::prose(page).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
}

#[test]
fn links_between_pages_lead_to_a_file_and_a_heading() {
    let mut checked = 0;
    for entry in std::fs::read_dir(page::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = page::read(name);
        for target in targets(&text).filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let path = page::folder().join(if file.is_empty() { name } else { file });
            assert!(path.exists(), "docs/{name} links {target}: there is no such file");
            if let Some(anchor) = anchor {
                let anchors = page::anchors(&std::fs::read_to_string(path).unwrap());
                assert!(anchors.iter().any(|known| known == anchor), "docs/{name} links {target}: no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} links were found");
}
