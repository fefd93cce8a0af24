// Package rule decides by the tenants' own rules whether an event may happen:
// expressions in CEL (cel.dev), compiled once, of bounded cost. The stage
// authorize asks it, behind the action's own permission: rules only narrow. Which
// rules an action has is known beforehand, so that an action without any costs
// nothing. Reload swaps all rules at once while events run. It owns no goroutine.
// README.md is for those who write rules.
package rule
