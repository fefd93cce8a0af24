use heddle::json::Kind;

/// What a value has to be. What is not said of it is None or empty, and permits anything.
#[derive(Debug, Default, PartialEq)]
pub struct Schema {
    pub types: Vec<Type>,
    /// Values as JSON: texts, numbers, true, false and null.
    pub allowed: Vec<String>,

    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    /// In characters.
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,

    pub min_items: Option<usize>,
    pub max_items: Option<usize>,
    pub items: Option<Box<Schema>>,

    pub properties: Vec<(String, Schema)>,
    pub required: Vec<String>,
    pub others: Others,
}

/// What is said of properties that have no name here.
#[derive(Debug, PartialEq)]
pub enum Others {
    Permitted,
    Refused,
    Are(Box<Schema>),
}

impl Default for Others {
    fn default() -> Self {
        Others::Permitted
    }
}

/// The words of "type".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Is(Kind),
    /// A number without a fraction; 2.0 is one.
    Integer,
}

impl Type {
    pub fn named(word: &str) -> Option<Type> {
        Some(match word {
            "null" => Type::Is(Kind::Null),
            "boolean" => Type::Is(Kind::Bool),
            "number" => Type::Is(Kind::Number),
            "integer" => Type::Integer,
            "string" => Type::Is(Kind::Text),
            "array" => Type::Is(Kind::Array),
            "object" => Type::Is(Kind::Object),
            _ => return None,
        })
    }

    /// For people who read what is wrong.
    pub fn phrase(self) -> &'static str {
        match self {
            Type::Is(Kind::Null) => "null",
            Type::Is(Kind::Bool) => "true or false",
            Type::Is(Kind::Number) => "a number",
            Type::Integer => "a whole number",
            Type::Is(Kind::Text) => "a text",
            Type::Is(Kind::Array) => "a list",
            Type::Is(Kind::Object) => "an object",
        }
    }
}
