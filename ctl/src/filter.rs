//! Which of the units, unit files and jobs that are listed are shown.

use proto::name::UnitName;

use crate::{fleet::Listed, glob};

/// Which listed units are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) all: bool,
    pub(crate) types: Vec<String>,
    pub(crate) states: Vec<String>,
    pub(crate) names: Names,
}

impl Filter {
    /// The rules of systemctl(1): a state asked for shows every unit that has it; otherwise units
    /// that are inactive without a job, and those that only follow another one, are hidden.
    pub(crate) fn shows(&self, unit: &Listed) -> bool {
        if !has_type(&self.types, &unit.unit) || !self.names.fit(&unit.unit) {
            return false;
        }
        if !self.states.is_empty() {
            let has = |state: &String| [&unit.load, &unit.active, &unit.sub].contains(&state);
            return self.states.iter().any(has);
        }
        self.all || unit.job_id > 0 || (unit.active != "inactive" && unit.following.is_empty())
    }
}

/// Whether a unit is of one of these types; all are if there are none.
pub(crate) fn has_type(types: &[String], unit: &str) -> bool {
    let suffix = unit.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    types.is_empty() || types.iter().any(|t| t == suffix)
}

/// Names that are asked for: patterns of which one has to fit, each list by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Vec<String>>);

impl Names {
    /// Of lists as they were typed: what is no pattern and has no type is a service, as for
    /// systemctl(1). A list that is empty asks for nothing.
    pub(crate) fn of(lists: &[&[String]]) -> Self {
        let pattern = |text: &String| match UnitName::from_operator(text) {
            Ok(name) => name.to_string(),
            Err(_) => text.clone(),
        };
        let asked = lists.iter().filter(|list| !list.is_empty());
        Self(
            asked
                .map(|list| list.iter().map(pattern).collect())
                .collect(),
        )
    }

    /// Whether a name is asked for.
    pub(crate) fn fit(&self, name: &str) -> bool {
        let one = |patterns: &Vec<String>| patterns.iter().any(|p| glob::fits(p, name));
        self.0.iter().all(one)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn listed(unit: &str, active: &str, following: &str, job_id: u32) -> Listed {
        Listed {
            node: "worker1".into(),
            unit: unit.into(),
            description: String::new(),
            load: "loaded".into(),
            active: active.into(),
            sub: "dead".into(),
            following: following.into(),
            job_id,
            job_type: String::new(),
        }
    }

    fn filter(all: bool, types: &[&str], states: &[&str]) -> Filter {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Filter {
            all,
            types: owned(types),
            states: owned(states),
            names: Names::default(),
        }
    }

    #[test_case(filter(false, &[], &[]), &["up", "job"]; "what is inactive is hidden")]
    #[test_case(filter(true, &[], &[]), &["up", "job", "down", "alias"]; "all")]
    #[test_case(filter(false, &[], &["inactive"]), &["job", "down"]; "a state shows what has it")]
    #[test_case(filter(false, &[], &["dead"]), &["up", "job", "down", "alias"]; "a sub state")]
    #[test_case(filter(false, &["socket"], &[]), &["job"]; "a type")]
    fn units_are_filtered_as_systemctl_does(filter: Filter, shown: &[&str]) {
        let units = [
            ("up", listed("a.service", "active", "", 0)),
            ("job", listed("b.socket", "inactive", "", 3)),
            ("down", listed("c.service", "inactive", "", 0)),
            ("alias", listed("d.device", "active", "e.device", 0)),
        ];
        let names = units.iter().filter(|(_, unit)| filter.shows(unit));
        assert_eq!(names.map(|(name, _)| *name).collect::<Vec<_>>(), shown);
    }

    #[test_case(&[], &[], true; "nothing is asked for")]
    #[test_case(&["a"], &[], true; "a name without a type is a service")]
    #[test_case(&["b", "a*"], &[], true; "one of a list is enough")]
    #[test_case(&["a*"], &["*.socket"], false; "each list has to fit")]
    #[test_case(&["a.socket"], &[], false; "another type")]
    fn names_are_filtered(patterns: &[&str], filters: &[&str], fit: bool) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (patterns, filters): (Vec<String>, Vec<String>) = (owned(patterns), owned(filters));
        assert_eq!(Names::of(&[&patterns, &filters]).fit("a.service"), fit);
    }
}
